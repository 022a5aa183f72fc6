"""Judges candidates: a candidate, a wake and a seed give a verdict, and candidates are out with their first miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from harness.model.objective import Missed
from harness.model.pool import PoolConfiguration
from harness.recommend.question import Question
from harness.search.playing import PlayedTrial, Playing
from harness.simulation.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a candidate at one wake with one seed. Of a story with variants it is the worst one's."""

    pool: PoolConfiguration
    wake_s: float | None
    """None: the database was awake."""
    seed: int
    played: PlayedTrial
    missed: tuple[Missed, ...]
    breaking: Row | None
    """The first request that counts against a missed objective."""
    excess: float
    """By how much the objectives are missed; 0: they are met."""

    @property
    def meets(self) -> bool:
        return not self.missed


class Judge:
    """Plays the candidates of one question."""

    def __init__(self, question: Question, playing: Playing) -> None:
        self.question = question
        self._playing = playing
        self.closest: Verdict | None = None
        """Of those at the wake's upper quantile that miss an objective, the one that misses it by least."""

    @property
    def trials(self) -> int:
        """How many trials were played until now."""
        return self._playing.trials

    async def judge(self, pool: PoolConfiguration, wake_s: float | None, seed: int) -> Verdict:
        """The verdict on one candidate."""
        (verdict,) = await self.judge_all([(pool, wake_s, seed)])
        return verdict

    async def judge_all(self, asked: Sequence[tuple[PoolConfiguration, float | None, int]]) -> list[Verdict]:
        """The verdict on each of these, played at the same time."""
        plan = self.question.plan
        trials = [list(self.question.trials(*one)) for one in asked]
        times = plan.times(trials[0][0].story)
        played = iter(await self._playing.play_all([trial for group in trials for trial in group], times))
        return [
            self._verdict(pool, wake_s, seed, list(islice(played, len(group))))
            for (pool, wake_s, seed), group in zip(asked, trials, strict=True)
        ]

    def _verdict(
        self, pool: PoolConfiguration, wake_s: float | None, seed: int, played: Sequence[PlayedTrial]
    ) -> Verdict:
        objectives = self.question.objectives
        worst = max(played, key=objectives.excess)
        verdict = Verdict(
            pool=pool,
            wake_s=wake_s,
            seed=seed,
            played=worst,
            missed=objectives.missed(worst),
            breaking=worst.breaking(objectives),
            excess=objectives.excess(worst),
        )
        is_closer = self.closest is None or verdict.excess < self.closest.excess
        if not verdict.meets and wake_s == self.question.upper_s and is_closer:
            self.closest = verdict
        return verdict

    async def first_miss(
        self, pool: PoolConfiguration, wake_s: float, seeds: Sequence[int] | None = None
    ) -> Verdict | None:
        """The first seed with which this candidate misses an objective at this wake; None: it meets them with each.

        Seeds are played in their order, a few at a time, and no more after the first miss.
        """
        remaining = list(self.question.seeds if seeds is None else seeds)
        at_a_time = self._playing.processes
        while remaining:
            batch, remaining = remaining[:at_a_time], remaining[at_a_time:]
            for verdict in await self.judge_all([(pool, wake_s, seed) for seed in batch]):
                if not verdict.meets:
                    return verdict
            at_a_time = 4 * self._playing.processes
        return None

    async def meets(self, pool: PoolConfiguration, wake_s: float, seeds: Sequence[int] | None = None) -> bool:
        return await self.first_miss(pool, wake_s, seeds) is None
