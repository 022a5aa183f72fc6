"""Plays cases with the one configuration, no more of them than are allowed, and none twice."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from harness.model.errors import TrialDiedError, UserError
from harness.model.objective import Missed, Objectives
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.search.playing import PlayedTrial, Playing
from harness.simulation.rows import Row
from harness.worst.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a case."""

    case: Case
    played: PlayedTrial
    missed: tuple[Missed, ...]
    breaking: Row | None
    """The first request that counts against a missed objective."""
    strain: tuple[float, float]
    """How near it is to a miss: the largest share of a limit that is used up, then the longest latency."""

    @property
    def breaks(self) -> bool:
        return bool(self.missed)


class SpentError(Exception):
    """No trial is left."""


class Judge:
    """Judges cases. A case that virtual time can't play has no verdict, and is counted."""

    def __init__(
        self, plan: PlannedRun, pool: PoolConfiguration, objectives: Objectives, playing: Playing, *, most: int
    ) -> None:
        self._plan = plan
        self._pool = pool
        self._objectives = objectives
        self._playing = playing
        self._verdicts: dict[Case, Verdict | None] = {}
        self.most = most
        """How many different cases may be played in all."""
        self.unplayed: dict[str, int] = {}
        """Why cases could not be played, and how many."""

    @property
    def trials(self) -> int:
        """How many different cases have been played."""
        return len(self._verdicts)

    async def judge(self, case: Case) -> Verdict | None:
        """The verdict on this case; None: it can't be played. Raises `SpentError` when no trial is left for it."""
        (verdict,) = await self.judge_all([case])
        return verdict

    async def judge_all(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """The verdicts, played at the same time as far as there are processes."""
        new = [case for case in dict.fromkeys(cases) if case not in self._verdicts]
        if self.trials + len(new) > self.most:
            raise SpentError
        plays = [self._playing.play(case.trial(self._pool), self._plan.times(case.story)) for case in new]
        for case, played in zip(new, await _settled(plays), strict=True):
            if isinstance(played, PlayedTrial):
                self._verdicts[case] = self._verdict(case, played)
            else:
                self._verdicts[case] = None
                self.unplayed[played] = self.unplayed.get(played, 0) + 1
        return [self._verdicts[case] for case in cases]

    def _verdict(self, case: Case, played: PlayedTrial) -> Verdict:
        objectives = self._objectives
        return Verdict(
            case=case,
            played=played,
            missed=objectives.missed(played),
            breaking=played.breaking(objectives),
            strain=_strain(objectives, played),
        )


async def _settled(plays: Sequence[Coroutine[object, object, PlayedTrial]]) -> list[PlayedTrial | str]:
    """Each trial, or why it could not be played. Raises everything else, once all have ended."""
    settled: list[PlayedTrial | str] = []
    for result in await asyncio.gather(*plays, return_exceptions=True):
        match result:
            case PlayedTrial():
                settled.append(result)
            case UserError() | TrialDiedError():
                settled.append(result.what)
            case _:
                raise result
    return settled


def _strain(objectives: Objectives, played: PlayedTrial) -> tuple[float, float]:
    used = []
    for one in objectives.all:
        value = one.value(played, objectives.patience.seconds)
        upper = one.relation.startswith("<")
        over, under = (value, one.limit) if upper else (one.limit, value)
        used.append(math.inf if math.isnan(value) else over / under if under else over)
    return max(used), max(played.latencies_s, default=0.0)
