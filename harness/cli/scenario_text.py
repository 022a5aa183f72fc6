"""The text of a scenario file with the load of a log: its stretches as bursts, or a `Replay` of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from harness.access_log import Stretch
from harness.model.arrivals import RequestMix
from harness.model.replay import REQUEST_COLUMN, TIME_COLUMN, Replay

WIDTH = 120
WAKE = 'profile("neon", latency_s=8.0)'


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioText:
    """What such a file says."""

    name: str
    about: str
    """Which log, in the first line."""
    pools: tuple[str, ...]
    """As Python: `"5+0"`, `pool("5+0", pool_timeout=30)`."""
    mix: RequestMix

    def with_bursts(self, stretches: Sequence[Stretch]) -> str:
        """The file with a burst for each stretch."""
        phases, gap = [], False
        for stretch in stretches:
            burst = f"Burst.rate({_rate(stretch)}, for_s={stretch.for_s:.15g}, mix=mix)"
            # Bursts follow one another without a gap: those after one have a moment of their own.
            if stretch.requests:
                phases.append(f"At({stretch.start_s:.15g}, {burst})" if gap else burst)
            gap = gap or not stretch.requests
        weights = ", ".join(f"{_text(request.value)}: {weight:.15g}" for request, weight in self.mix.weights)
        before = [
            "# What the log asks for, and how often. A phase is a stretch of one rate, in requests a second.",
            f"mix = RequestMix.of({{{weights}}})",
        ]
        return self._file(["At"] * gap + ["Burst", "RequestMix"], before, phases)

    def with_replay(self, replay: Replay) -> str:
        """The file that reads the log whenever it is loaded."""
        arguments = [_text(replay.log)]
        arguments += [f"{name}={value:g}" for name, value in (("speed", replay.speed), ("rate", replay.sampled))
                      if value != 1]  # fmt: skip
        if replay.columns != (TIME_COLUMN, REQUEST_COLUMN):
            arguments.append(f"columns=({', '.join(map(_text, replay.columns))})")
        if replay.named:
            named = (f"{_text(pattern)}: {_text(str(request))}" for pattern, request in replay.named)
            arguments.append(f"requests={{{', '.join(named)}}}")
        before = ["# Every request of the log at its moment. What `requests` does not name is a read_track."]
        return self._file(["Replay"], before, [_call("Replay", arguments, indent=4)])

    def _file(self, words: Sequence[str], before: Sequence[str], phases: Sequence[str]) -> str:
        pool = ["pool"] * any(one.startswith("pool(") for one in self.pools)
        imported = [*sorted([*words, "Scenario", "Suspend", "Traffic", "Warm"]), *pool]
        lines = [
            f'"""{self.about}"""',
            "",
            f"from harness.scenario import {', '.join(imported)}",
            "from harness.wake import profile",
            "",
            *before,
            "traffic = Traffic(",
            *(f"    {phase}," for phase in phases),
            ")",
            "",
            "SCENARIO = Scenario(",
            f"    name={_text(self.name)},",
            f"    wake={WAKE},",
            f"    pools=({', '.join(self.pools)}{',' * (len(self.pools) == 1)}),",
            "    # The first request meets a suspended database; At(90, Suspend()) in the traffic suspends it then.",
            "    timeline=(Warm(), Suspend(), traffic),",
            ")",
        ]
        return "\n".join(lines) + "\n"


def _rate(stretch: Stretch) -> str:
    """As few digits as give the exact number of requests."""
    for digits in range(2, 15):
        text = f"{stretch.per_s:.{digits}g}"
        if max(1, round(float(text) * stretch.for_s)) == stretch.requests and "e" not in text:
            return text
    return f"{stretch.per_s:.15g}"


def _call(name: str, arguments: Sequence[str], *, indent: int) -> str:
    line = f"{name}({', '.join(arguments)})"
    if indent + len(line) < WIDTH:
        return line
    inner = "".join(f"{' ' * (indent + 4)}{argument},\n" for argument in arguments)
    return f"{name}(\n{inner}{' ' * indent})"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
