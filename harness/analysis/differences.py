"""Two configurations that met the same arrivals, request by request, and what is said of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from harness.analysis.effect import Effect, Verdict
from harness.analysis.labels import Names
from harness.analysis.sentences import listed
from harness.analysis.statistics import Measure

TELLING_S = 0.01
"""Nobody chooses a pool for less."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A configuration against the run's first, at one wake of one run."""

    run: str
    wake: str
    baseline: str
    other: str
    effect: Effect
    failed: int
    """Requests of the pairs that fail with the baseline."""
    longer_s: Measure
    """By how much a request that is ok with both takes longer with the other, in the mean; negative: shorter."""

    @property
    def is_none(self) -> bool:
        """Whether every request ended alike."""
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
    """What is and what is not a difference; those that are none at all in one sentence a wake."""
    names = Names(name for one in differences for name in (one.baseline, one.other))
    for (_, wake), some in groupby(differences, key=lambda one: (one.run, one.wake)):
        of_wake = list(some)
        alike = [one for one in of_wake if one.is_none]
        if alike:
            yield f"{wake}: {_alike(alike, names)}"
        for difference in of_wake:
            if not difference.is_none:
                yield f"{wake}: {_in_words(difference, names)}"
    if differences and all(len(one.effect.seeds) == 1 for one in differences):
        yield "One seed was played: this is so for these arrivals; --repeat 20 shows how far it is so for others."


def _alike(alike: Sequence[Difference], names: Names) -> str:
    baseline, others = names[alike[0].baseline], listed([names[one.other] for one in alike])
    if not any(one.failed for one in alike):
        same = f"no request fails with {baseline}, nor with {others}"
    else:
        same = f"exactly the same requests fail with {others} as with {baseline}"
    longer = [f"{names[one.other]}: {_longer(one)}" for one in alike if _longer(one)]
    return "; ".join([same, *longer]) + "."


def _in_words(difference: Difference, names: Names) -> str:
    other, baseline = names[difference.other], names[difference.baseline]
    effect = difference.effect
    parts = [effect.counts()]
    if len(effect.seeds) > 1:
        parts.append(effect.in_seeds())
    if effect.verdict is Verdict.DEPENDS:
        told = f"whether {other} is better than {baseline} depends on the arrivals"
        if effect.chance >= SIGNIFICANT:
            parts.append(f"which of the two is better more often can be chance (p = {effect.chance:.2f})")
    else:
        told = f"{other} is {effect.verdict} than {baseline}"
    if longer := _longer(difference):
        parts.append(longer)
    return f"{told}: {'; '.join(parts)}."


def _longer(difference: Difference) -> str:
    """What the mean latency says, where the interval over the seeds leaves no doubt on which side of 0 it is."""
    found = difference.longer_s
    if found.low is None or found.high is None or found.low <= 0 <= found.high or abs(found.value) < TELLING_S:
        return ""
    longer = "longer" if found.value > 0 else "shorter"
    low, high = sorted((abs(found.low), abs(found.high)))
    return f"a request that is ok with both takes {abs(found.value):.2f} s {longer} on average ({low:.2f}–{high:.2f})"
