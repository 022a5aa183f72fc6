"""The difference between two configurations on the same arrivals, request by request, and the sentences about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from harness.analysis.effect import Effect, Verdict
from harness.analysis.labels import Names
from harness.analysis.sentences import listed
from harness.analysis.statistics import Measure

MIN_DIFFERENCE_S = 0.01
"""A smaller difference of mean latencies is not mentioned: nobody chooses a pool for it."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A configuration compared with the run's first one, the baseline, at one wake of one run."""

    run: str
    wake: str
    baseline: str
    other: str
    effect: Effect
    failed: int
    """How many of the paired requests fail with the baseline, or are not answered within the patience."""
    longer_s: Measure
    """How much longer, on average, a request that is ok with both takes with the other; negative: shorter."""
    answered: str = ""
    """What a request that succeeds is, where the story has a patience: `answered within 12 s`."""

    @property
    def changes_nothing(self) -> bool:
        """Whether exactly the same requests fail with both."""
        return self.effect.verdict is Verdict.NONE

    def to_json(self) -> dict[str, Any]:
        effect = self.effect
        return {
            "run": self.run, "wake": self.wake, "baseline": self.baseline, "other": self.other,
            "pairs": effect.requests, "saved": effect.saved, "lost": effect.lost, "verdict": effect.verdict.value,
            "seeds": len(effect.seeds), "better_in": effect.better_in, "worse_in": effect.worse_in,
            "longer_s": self.longer_s.to_json(),
        }  # fmt: skip


def differences_in_words(differences: Sequence[Difference]) -> Iterator[str]:
    """A sentence for each difference; the configurations that make none share one sentence a wake."""
    names = Names(name for difference in differences for name in (difference.baseline, difference.other))
    for (_, wake), group in groupby(differences, key=lambda difference: (difference.run, difference.wake)):
        at_this_wake = list(group)
        alike = [difference for difference in at_this_wake if difference.changes_nothing]
        if alike:
            yield f"{wake}: {_alike(alike, names)}"
        for difference in at_this_wake:
            if not difference.changes_nothing:
                yield f"{wake}: {_in_words(difference, names)}"
    if differences and all(len(difference.effect.seeds) == 1 for difference in differences):
        yield "One seed was played: this is so for these arrivals; --repeat 20 shows how far it is so for others."


def _alike(alike: Sequence[Difference], names: Names) -> str:
    baseline, others = names[alike[0].baseline], listed([names[difference.other] for difference in alike])
    answers = {difference.answered for difference in alike}
    if any(answers):
        answered = answers.pop() if len(answers) == 1 else "answered within the patience"
        same = (
            f"exactly the same requests are {answered} with {others} as with {baseline}"
            if any(difference.failed for difference in alike)
            else f"every request is {answered} with {baseline}, and with {others}"
        )
    elif not any(difference.failed for difference in alike):
        same = f"no request fails with {baseline}, nor with {others}"
    else:
        same = f"exactly the same requests fail with {others} as with {baseline}"
    times = [f"{names[difference.other]}: {text}" for difference in alike if (text := longer(difference.longer_s))]
    return "; ".join([same, *times]) + "."


def _in_words(difference: Difference, names: Names) -> str:
    other, baseline = names[difference.other], names[difference.baseline]
    effect = difference.effect
    parts = [effect.counts()]
    than = f"{baseline} in requests {difference.answered}" if difference.answered else baseline
    if len(effect.seeds) > 1:
        parts.append(effect.in_seeds())
    if effect.verdict is Verdict.DEPENDS:
        verdict = f"whether {other} is better than {than} depends on the arrivals"
        if effect.chance >= SIGNIFICANT:
            parts.append(f"which of the two is better more often can be chance (p = {effect.chance:.2f})")
    else:
        verdict = f"{other} is {effect.verdict} than {than}"
    if text := longer(difference.longer_s):
        parts.append(text)
    return f"{verdict}: {'; '.join(parts)}."


def longer(mean: Measure) -> str:
    """The difference of the mean latencies in words; empty where its interval includes 0 or it is very small."""
    if mean.low is None or mean.high is None or mean.low <= 0 <= mean.high or abs(mean.value) < MIN_DIFFERENCE_S:
        return ""
    which = "longer" if mean.value > 0 else "shorter"
    low, high = sorted((abs(mean.low), abs(mean.high)))
    return f"a request that is ok with both takes {abs(mean.value):.2f} s {which} on average ({low:.2f}–{high:.2f})"
