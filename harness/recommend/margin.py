"""The margin of a recommendation: the longest wake it survives, and how many wakes are longer."""

from dataclasses import dataclass
from typing import Any

from harness.model.distribution import three_figures
from harness.model.pool import PoolConfiguration
from harness.recommend.judging import Judge, Verdict
from harness.search.margin import LongestWake, longest_wake

CHECKED = 8
"""Wakes up to the margin that are tried, to see that shorter ones are survived too."""
CHECKED_SEEDS = 2
REACH = 1.5
"""How far the margin is looked for: the longest of the wakes, of the patience and of the timeouts, times this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How long a wake a configuration survives, with every seed that was played."""

    survives_s: float
    """The longest wake that meets the objectives."""
    breaks_at_s: float | None
    """The shortest longer one that was tried and misses one; None: none was found."""
    longer: float
    """The share of the wakes, from 0 to 1, that are longer; where `monotone` is false, the share that misses."""
    monotone: bool
    """Whether every shorter wake that was tried meets the objectives too."""
    sampled: int = 0
    """Where it is not: how many wakes were drawn to find the share."""
    missed: int = 0
    """And how many of them miss an objective."""

    def to_json(self) -> dict[str, Any]:
        sampled = {} if self.monotone else {"sampled": self.sampled, "missed": self.missed}
        return {
            "survives_wake_s": round(self.survives_s, 3),
            "breaks_at_wake_s": None if self.breaks_at_s is None else round(self.breaks_at_s, 3),
            "share_of_longer_wakes": self.longer,
            "method": "bisection" if self.monotone else "sampling",
            **sampled,
        }


async def margin(judge: Judge, pool: PoolConfiguration) -> Margin | Verdict:
    """The margin of a configuration that meets the objectives at the wake's upper quantile with the first seed.

    Every other seed is played at the longest wake that those before it survive: one that survives it survives the
    quantile too, so nothing is played twice. The verdict of a seed that misses an objective there is returned instead.
    """
    question = judge.question
    patience_s = question.objectives.patience.seconds
    longest_s = max(question.wake.latency.quantile(1.0), patience_s, pool.connection_limit_s, pool.queue_timeout_s)

    async def of_seed(seed: int, broken_s: float | None) -> LongestWake:
        async def survives(wake_s: float) -> bool:
            return await judge.meets(pool, wake_s, (seed,))

        return await longest_wake(survives, known_s=question.upper_s, most_s=REACH * longest_s, broken_s=broken_s)

    found = await of_seed(question.seeds[0], None)
    remaining = question.seeds[1:]
    while (miss := await judge.first_miss(pool, _survived(found), remaining)) is not None:
        at_upper = await judge.judge(pool, question.upper_s, miss.seed)
        if not at_upper.meets:
            return at_upper
        remaining = remaining[remaining.index(miss.seed) + 1 :]
        found = await of_seed(miss.seed, _survived(found))
    survives_s = _survived(found)
    if await _is_monotone(judge, pool, survives_s):
        longer = question.wake.latency.share_above(survives_s)
        return Margin(survives_s=survives_s, breaks_at_s=found.broken_s, longer=longer, monotone=True)
    miss = await judge.first_miss(pool, question.upper_s)
    return miss if miss is not None else await _sampled(judge, pool, survives_s, found.broken_s)


def _survived(longest: LongestWake) -> float:
    assert longest.survived_s is not None, "the upper quantile is survived"
    return longest.survived_s


async def _is_monotone(judge: Judge, pool: PoolConfiguration, survives_s: float) -> bool:
    seeds = judge.question.seeds[:CHECKED_SEEDS]
    shorter = [survives_s * number / CHECKED for number in range(CHECKED)]
    asked = [(pool, round(wake_s, 6), seed) for wake_s in shorter for seed in seeds]
    return all(verdict.meets for verdict in await judge.judge_all(asked))


async def _sampled(judge: Judge, pool: PoolConfiguration, survives_s: float, broken_s: float | None) -> Margin:
    """The share of wakes that miss an objective, each drawn with its seed's arrivals as a run would."""
    question = judge.question
    drawn = [(pool, question.wake.latencies_s(seed, wakes=1)[0], seed) for seed in question.seeds]
    missed = sum(not verdict.meets for verdict in await judge.judge_all(drawn))
    return Margin(
        survives_s=survives_s,
        breaks_at_s=broken_s,
        longer=missed / len(drawn),
        monotone=False,
        sampled=len(drawn),
        missed=missed,
    )


def shown_s(seconds: float) -> str:
    """A wake in words, never longer than it is: `16.1 s`."""
    tenths = int(seconds * 10 + 1e-6) / 10
    return f"{three_figures(tenths)} s" if seconds >= 0.1 else f"{seconds:.2g} s"
