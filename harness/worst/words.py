"""What a search found, in sentences: the verdict first."""

import math
from collections.abc import Iterator

from harness.analysis.sentences import either, listed, plural, seconds
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.distribution import three_figures
from harness.model.timeline import Burst, ConnectionLoss, Deploy, Idle, Outage, Slow, Suspend, Traffic, Warm
from harness.recommend.words import named
from harness.worst.bounds import ARRIVE
from harness.worst.case import Case
from harness.worst.judging import Verdict
from harness.worst.parts import Phase, phases
from harness.worst.search import Found, Question

CONNECTIONS: dict[OnSuspend, str] = {
    OnSuspend.CLOSE: "are closed", OnSuspend.TERMINATE: "are terminated (57P01)", OnSuspend.RESET: "are reset",
    OnSuspend.FREEZE: "are frozen: half-open, and nobody is told", OnSuspend.VANISH: "vanish with their machine",
    OnSuspend.KEEP: "stay open",
}  # fmt: skip
NEW_ONES: dict[WhileWaking, str] = {
    WhileWaking.HOLD: "are held until it is back", WhileWaking.DROP: "get no answer until it is back",
    WhileWaking.REFUSE: "are refused until it is back", WhileWaking.ERROR: "get an error until it is back",
}  # fmt: skip


def headline(found: Found) -> str:
    """The verdict in one line."""
    question = found.question
    if found.smallest is None:
        stories = plural(found.searched, "story", "stories")
        return f"None of {stories} breaks {question.pool.label}: each meets {question.objectives}."
    case = found.smallest.case
    what = in_short(case)
    verb = "misses" if len(what) == 1 else "miss"
    missed = ", and ".join(f"{one.objective}: it is {one.objective.shown(one.value)}" for one in found.smallest.missed)
    return f"With {question.pool.label}, {listed(what)} {verb} {missed}."


def in_short(case: Case) -> list[str]:
    """`a burst of 3 requests`, `a wake of 10.2 s`, and what else happens."""
    several = len(case.bursts) > 1
    load = plural(case.requests, "request")
    if case.requests > 1:
        load = f"{len(case.bursts)} bursts of {load} in all" if several else f"a burst of {load}"
    parts = [load]
    if case.wake_s:
        parts.append(f"a wake of {three_figures(case.wake_s)} s")
    counted: dict[str, int] = {}
    for _, phase in phases(case.timeline):
        if what := _event(phase):
            counted[what] = counted.get(what, 0) + 1
    if case.wake_s and counted.get("a suspend") == 1:
        # The wake says it.
        del counted["a suspend"]
    return parts + [what if count == 1 else f"{what} ({count} times)" for what, count in counted.items()]


def _event(phase: Phase) -> str:
    match phase:
        case Suspend():
            return "a suspend"
        case Outage(for_s=for_s):
            return f"an outage of {for_s:g} s"
        case ConnectionLoss(share=share):
            return f"the loss of {100 * share:g}% of the connections"
        case Deploy():
            return "a deploy"
        case Slow(slow_s):
            return f"round trips {slow_s:g} s longer"
        case _:
            return ""


def story_in_words(case: Case) -> Iterator[str]:
    """The story, a sentence for each phase, as its timeline has them."""
    wakes = f"and takes {three_figures(case.wake_s)} s to wake, from the first connection attempt on" * bool(
        case.wake_s
    )
    connections = f"open connections {CONNECTIONS[case.wake.on_suspend]}; new ones {NEW_ONES[case.wake.while_waking]}"
    suspend = f"{', '.join(filter(None, ['the database suspends', wakes]))}: {connections}"
    for phase in case.timeline:
        match phase:
            case Traffic(phases=within):
                for one in within:
                    if isinstance(one, Burst):
                        yield f"{_capital(_load(one))}."
                    else:
                        what = _load(one.phase) if isinstance(one.phase, Burst) else _happens(one.phase, suspend)
                        yield f"{one.at_s:g} s after the first could come, {what}."
            case _:
                yield f"{_capital(_happens(phase, suspend))}."


def _happens(phase: Phase, suspend: str) -> str:
    match phase:
        case Burst():
            return _load(phase)
        case Warm():
            if phase.opens is None:
                return "the pool opens its connections"
            return (
                f"the pool opens {plural(phase.opens, 'connection')}" if phase.opens else "the pool has never connected"
            )
        case Suspend():
            return suspend
        case Idle(for_s):
            return f"nothing happens for {for_s:g} s"
        case Outage(for_s=for_s, connections=connections, meanwhile=meanwhile):
            return (
                f"the database is away for {for_s:g} s: open connections {CONNECTIONS[connections]}; new ones "
                f"{NEW_ONES[meanwhile]}"
            )
        case ConnectionLoss(share=share, how=how):
            return f"{100 * share:g}% of the open connections die: they {CONNECTIONS[how]}"
        case Deploy():
            return "a deploy gives each instance a new, empty pool"
        case Slow(slow_s):
            return f"every round trip to the database takes {slow_s:g} s longer"
        case _:
            return type(phase).__name__.lower()


def _load(burst: Burst) -> str:
    if burst.requests == 1:
        when = "" if not burst.over_s else f" within {burst.over_s:g} s"
        return f"1 request comes{when}"
    over = f" over {burst.over_s:g} s" if burst.over_s else ""
    return f"{burst.requests} requests come {ARRIVE[burst.arrivals]}{over}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentences(found: Found) -> Iterator[str]:
    """Everything after the headline and the story."""
    question, smallest = found.question, found.smallest
    if smallest is None:
        yield f"The stories: {question.bounds.sentence()}"
        if found.closest is not None:
            yield from _closest(question, found.closest)
    else:
        yield _breaking(smallest)
        yield from _how_it_was_found(found, smallest)
    yield f"The configuration: {named(question.pool)}."
    yield from _times(question)
    for what, count in (found.unplayed or {}).items():
        yield f"{plural(count, 'story', 'stories')} could not be played: {what}."
    for what in found.marks:
        yield f"Not to be relied on (!): in some of the trials the application did what can't be played: {what}."


def _breaking(verdict: Verdict) -> str:
    row = verdict.breaking
    if row is None:
        return "No single request breaks it: all of them together do."
    how = f"ends in {row['outcome']}" if row["outcome"] != "ok" else "is answered"
    error = f" ({row['error']})" if row["error"] else ""
    return (
        f"The first request that breaks it is request {row['number']}, which comes after {row['arrival_s']:.1f} s: it "
        f"{how}{error} after {seconds(row['latency_s'])}."
    )


def _how_it_was_found(found: Found, smallest: Verdict) -> Iterator[str]:
    assert found.first is not None
    first = found.first.case
    whose = "The scenario's own timeline" if found.is_the_scenarios_own else f"Story {found.searched} of the search"
    if first == smallest.case:
        yield f"{whose} breaks it, and nothing smaller was found in {plural(found.trials, 'trial')}."
    else:
        yield (
            f"{whose} broke it first, with {listed(in_short(first))}; {plural(found.trials, 'trial')} in all led to "
            "this one."
        )
    if found.is_smallest:
        if steps := _smaller(smallest.case):
            yield f"It is the smallest near it: {either(steps)} it meets {found.question.objectives}."
    else:
        yield "No trial was left to shrink it further: --trials allows more."


def _smaller(case: Case) -> list[str]:
    """The steps to a smaller story, all of which were tried."""
    steps = []
    if case.events:
        steps.append("without its event" if len(case.events) == 1 else "without any one of its events")
    if case.requests > 1:
        steps.append("with one request fewer")
    if case.wake_s:
        tenths = math.ceil(round(case.wake_s * 10, 6)) - 1
        steps.append(f"with a wake of {tenths / 10:g} s")
    return steps


def _closest(question: Question, closest: Verdict) -> Iterator[str]:
    values = question.objectives.values(closest.played)
    shown = "; ".join(f"{one.measured} is {one.shown(values[str(one)])}" for one in question.objectives.all)
    yield f"The closest had {listed(in_short(closest.case))}: {shown}."


def _times(question: Question) -> Iterator[str]:
    plan = question.plan
    if plan.overrides.application is not None or plan.overrides.calibration is not None:
        return
    stories = list(plan.stories.values())
    free = []
    if any(not story.service_time_s for story in stories):
        free.append("a statement")
    if any(not story.connect_time_s and story.connect_cost is None for story in stories):
        free.append("a connect")
    if free:
        takes = "takes" if len(free) == 1 else "take"
        yield (
            f"{_capital(listed(free))} {takes} 0 s in this simulated database, so no story is broken by slow ones: "
            "--service-time and --connect-time, or --calibration, give them a time."
        )
