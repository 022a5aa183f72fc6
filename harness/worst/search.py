"""The search: stories one after the other until one breaks, which is then shrunk."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from harness.model.objective import Objectives
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.search.playing import Playing
from harness.worst.bounds import MOST_EVENTS, Bounds
from harness.worst.case import Case
from harness.worst.judging import Judge, Verdict
from harness.worst.shrinking import shrunk
from harness.worst.telling import Teller, Told

AT_A_TIME = 8
"""Cases that are played before the next are drawn: the same on every machine, so that the same seed finds the same."""
FOR_THE_SEARCH = 2 / 3
"""The share of the trials that a search may take: the others are for shrinking what it finds."""
KEPT = 10
"""How many of the cases that came closest are varied."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: which story within these bounds breaks this configuration."""

    plan: PlannedRun
    pool: PoolConfiguration
    objectives: Objectives
    bounds: Bounds
    seed: int
    trials: int
    """How many stories may be played, those of shrinking included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to."""

    question: Question
    smallest: Verdict | None
    """The smallest story that breaks; None: no story did."""
    first: Verdict | None = None
    """The story from which it was shrunk."""
    is_smallest: bool = False
    """Whether every single step to a smaller one was tried."""
    is_the_scenarios_own: bool = False
    """Whether the first story is the scenario's own, at a wake that it may have."""
    searched: int = 0
    """How many stories were played until one broke, that one included."""
    trials: int = 0
    """How many were played in all."""
    unplayed: dict[str, int] | None = None
    """Why stories could not be played in virtual time, and how many."""
    closest: Verdict | None = None
    """Where none breaks, the one that came closest."""
    marks: tuple[str, ...] = ()
    """What an application did that can't be played in virtual time."""


async def find(question: Question, playing: Playing, say: Say) -> Found:
    """The smallest story that breaks, as far as the trials go. Raises what playing a trial raises, but for a story."""
    judge = Judge(question.plan, question.pool, question.objectives, playing, most=question.trials)
    teller = Teller(question.plan, question.bounds, question.seed)
    search = _Search(judge, teller, most=max(1, math.floor(question.trials * FOR_THE_SEARCH)))
    first = await search.first()
    searched = search.number
    if first is None:
        return Found(
            question=question, smallest=None, searched=searched, trials=judge.trials, unplayed=judge.unplayed,
            closest=search.closest, marks=tuple(playing.marks),
        )  # fmt: skip
    say(f"story {searched} breaks it; shrinking it")
    result = await shrunk(first, judge, question.bounds, plain=teller.plain, seed=question.seed)
    return Found(
        question=question, smallest=result.verdict, first=first, is_smallest=result.is_smallest,
        is_the_scenarios_own=first.case in set(teller.own()), searched=searched, trials=judge.trials,
        unplayed=judge.unplayed, marks=tuple(playing.marks),
    )  # fmt: skip


class _Search:
    def __init__(self, judge: Judge, teller: Teller, *, most: int) -> None:
        self._judge = judge
        self._teller = teller
        self._most = most
        self._told: dict[Case, Told] = {}
        self._closest: list[Verdict] = []
        self.number = 0
        """How many stories it took, the one that broke included."""

    @property
    def closest(self) -> Verdict | None:
        return self._closest[0] if self._closest else None

    async def first(self) -> Verdict | None:
        """The first story that breaks; None: none of those that were played."""
        cases = self._cases()
        while batch := list(islice(cases, min(AT_A_TIME, self._most - self._judge.trials))):
            verdicts = await self._judge.judge_all(batch)
            for number, verdict in enumerate(verdicts):
                if verdict is not None and verdict.breaks:
                    self.number += number + 1
                    return verdict
            self.number += len(batch)
            self._keep([verdict for verdict in verdicts if verdict is not None])
        return None

    def _cases(self) -> Iterator[Case]:
        """The scenario's own, the extremes, and then as many others as there are trials; each once."""
        seen: set[Case] = set()
        for case in self._every():
            if case not in seen:
                seen.add(case)
                yield case

    def _every(self) -> Iterator[Case]:
        yield from self._teller.own()
        for told in self._teller.extremes():
            yield self._case(told)
        draw = self._teller.random
        # Bounds that hold a handful of stories are used up before the trials are.
        for _ in range(20 * self._most):
            varied = [self._told[verdict.case] for verdict in self._closest if verdict.case in self._told]
            if varied and draw.random() < 0.5:
                yield self._case(self._teller.varied(draw.choice(varied)))
            else:
                # A third of them without events: those are the smaller stories.
                yield self._case(self._teller.at_random(draw.choice((0, 0, *range(1, MOST_EVENTS + 1)))))

    def _case(self, told: Told) -> Case:
        case = self._teller.case(told)
        self._told[case] = told
        return case

    def _keep(self, verdicts: list[Verdict]) -> None:
        self._closest = sorted([*self._closest, *verdicts], key=lambda one: one.strain, reverse=True)[:KEPT]
