"""The frontier of a configuration: the longest wake it survives, by the size of the burst and the service time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.model.arrivals import Pattern
from harness.model.limits import MAX_REQUESTS
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.recommend.judging import Judge
from harness.recommend.question import Question
from harness.search.margin import longest_wake
from harness.search.playing import Playing

BURSTS = (0.5, 1.0, 2.0)
SERVICES = (1.0, 4.0)
RESOLUTION_S = 0.5


@dataclass(frozen=True, slots=True)
class Point:
    """One place on the frontier."""

    requests: int
    """Of the whole story."""
    service_time_s: float | None
    """Of a statement; None: from a calibration or a recording."""
    survives_s: float | None
    """The longest wake that meets the objectives; None: not even one of 0 does."""
    beyond: bool = False
    """Whether even the longest wake that was tried is survived."""

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests, "service_time_s": self.service_time_s, "survives_wake_s": self.survives_s,
            "beyond": self.beyond,
        }  # fmt: skip


async def frontier(question: Question, pool: PoolConfiguration, survives_s: float, playing: Playing) -> list[Point]:
    """The frontier with the first seed's arrivals; `survives_s` is where the story itself breaks."""
    return [
        await _point(replace(question, plan=plan), pool, survives_s, playing, service_time_s)
        for plan, service_time_s in _plans(question.plan)
    ]


async def _point(
    question: Question, pool: PoolConfiguration, guess_s: float, playing: Playing, service_time_s: float | None
) -> Point:
    judge = Judge(question, playing)
    seeds = question.seeds[:1]
    most_s = 2 * max(guess_s, question.objectives.patience.seconds)

    async def survives(wake_s: float) -> bool:
        return await judge.meets(pool, wake_s, seeds)

    holds = await survives(guess_s)
    longest = await longest_wake(
        survives, known_s=guess_s if holds else None, broken_s=None if holds else guess_s, most_s=most_s,
        resolution_s=RESOLUTION_S,
    )  # fmt: skip
    requests = sum(burst.requests for burst in next(iter(question.plan.stories.values())).bursts)
    return Point(requests, service_time_s, longest.survived_s, longest.broken_s is None)


def _plans(plan: PlannedRun) -> Iterator[tuple[PlannedRun, float | None]]:
    """The plan with other bursts and service times, as far as the story has them as numbers."""
    services = list(_with_services(plan))
    for of_burst in _with_bursts(plan):
        for service_time_s in services:
            yield of_burst if service_time_s is None else _with_service(of_burst, service_time_s), service_time_s


def _with_bursts(plan: PlannedRun) -> Sequence[PlannedRun]:
    """Bursts of other sizes; listed arrivals, and bursts that differ, can't be scaled by one number."""
    bursts = [burst for story in plan.stories.values() for burst in story.bursts]
    sizes = {burst.requests for burst in bursts}
    if len(sizes) > 1 or any(burst.arrivals == Pattern.GIVEN for burst in bursts):
        return [plan]
    (requests,) = sizes
    scaled = sorted({max(1, round(requests * factor)) for factor in BURSTS})
    return [
        replace(plan, overrides=replace(plan.overrides, requests=number))
        for number in scaled
        if number * len(bursts) <= MAX_REQUESTS
    ]


def _with_services(plan: PlannedRun) -> Sequence[float | None]:
    own = {story.service_time_s for story in plan.stories.values()}
    (service_time_s,) = own if len(own) == 1 else (None,)
    if not service_time_s or plan.overrides.application is not None:
        return [None]
    return [round(service_time_s * factor, 6) for factor in SERVICES]


def _with_service(plan: PlannedRun, service_time_s: float) -> PlannedRun:
    return replace(plan, overrides=replace(plan.overrides, service_time_s=service_time_s))
