"""The parts of a timeline that a story can do without, and timelines with one of them left out or replaced."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from harness.model.timeline import At, Burst, MomentPhase, TimelinePhase, Traffic, Warm

Timeline: TypeAlias = tuple[TimelinePhase, ...]
Place: TypeAlias = tuple[int, ...]
"""A phase's number in the timeline; of a phase within a `Traffic`, also its number in there."""
Phase: TypeAlias = TimelinePhase | MomentPhase


def phases(timeline: Timeline) -> Iterator[tuple[Place, Phase]]:
    """Every phase with its place; a `Traffic` by what is in it."""
    for number, phase in enumerate(timeline):
        if isinstance(phase, Traffic):
            for inner, one in enumerate(phase.phases):
                yield (number, inner), one.phase if isinstance(one, At) else one
        else:
            yield (number,), phase


def bursts(timeline: Timeline) -> list[tuple[Place, Burst]]:
    return [(place, phase) for place, phase in phases(timeline) if isinstance(phase, Burst)]


def events(timeline: Timeline) -> list[Place]:
    """What can be left out: every phase but the warm ones and, of the bursts, one."""
    several = len(bursts(timeline)) > 1
    return [
        place
        for place, phase in phases(timeline)
        if not isinstance(phase, Warm) and (several or not isinstance(phase, Burst))
    ]


def without(timeline: Timeline, place: Place) -> Timeline:
    """The timeline without this phase. A `Traffic` that is left with one burst becomes that burst."""
    number, *inner = place
    phase = timeline[number]
    if not inner:
        return (*timeline[:number], *timeline[number + 1 :])
    assert isinstance(phase, Traffic)
    left = [one for at, one in enumerate(phase.phases) if at != inner[0]]
    return (*timeline[:number], *_traffic(left), *timeline[number + 1 :])


def replaced(timeline: Timeline, place: Place, change: Callable[[Phase], Phase]) -> Timeline:
    """The timeline with this phase changed; within a `Traffic` it keeps its moment."""
    number, *inner = place
    phase = timeline[number]
    if not inner:
        changed = [change(phase)]
    else:
        assert isinstance(phase, Traffic)
        made: list[Burst | At] = []
        for at, one in enumerate(phase.phases):
            if at != inner[0]:
                made.append(one)
            elif isinstance(one, At):
                made.append(At(one.at_s, change(one.phase)))  # type: ignore[arg-type]  # a burst stays a burst
            else:
                made.append(change(one))  # type: ignore[arg-type]
        changed = [*_traffic(made)]
    return (*timeline[:number], *changed, *timeline[number + 1 :])


def moment_s(timeline: Timeline, place: Place) -> float | None:
    """When an event comes in its `Traffic`; None: it has no moment."""
    phase = timeline[place[0]]
    if len(place) == 1 or not isinstance(phase, Traffic):
        return None
    one = phase.phases[place[1]]
    return one.at_s if isinstance(one, At) else None


def moved(timeline: Timeline, place: Place, at_s: float) -> Timeline:
    """The timeline with this phase of a `Traffic` at another moment."""
    number, inner = place
    phase = timeline[number]
    assert isinstance(phase, Traffic)
    one = phase.phases[inner]
    assert isinstance(one, At)
    made = [At(at_s, one.phase) if at == inner else other for at, other in enumerate(phase.phases)]
    return (*timeline[:number], Traffic(*made), *timeline[number + 1 :])


def _traffic(phases: list[Burst | At]) -> Iterator[TimelinePhase]:
    """As a load: none without a burst, and nothing but the burst where it is alone."""
    match phases:
        case [Burst() as alone] | [At(_, Burst() as alone)]:
            yield alone
        case _ if any(isinstance(one, Burst) or isinstance(one.phase, Burst) for one in phases):
            yield Traffic(*phases)
        case _:
            # The load's last burst is gone, and with it what came meanwhile.
            return
