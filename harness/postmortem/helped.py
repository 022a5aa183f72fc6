"""What would have helped: the search of `coldstart recommend`, for the wake and the arrivals of the incident."""

from collections.abc import Sequence
from dataclasses import replace

from harness.model.distribution import Constant
from harness.model.objective import read_objectives
from harness.model.plan import PlannedRun
from harness.postmortem.incident import Incident
from harness.recommend.answer import Answer
from harness.recommend.asking import answer
from harness.recommend.question import Question
from harness.recommend.space import SIZES, Space
from harness.search.playing import Playing
from harness.simulation.simulators import Say

MARGIN = 1.25
"""First a setting is looked for that survives the wake times this; where there is none, one that survives the wake."""


async def would_have_helped(
    incident: Incident, plan: PlannedRun, seeds: Sequence[int], playing: Playing, say: Say
) -> Answer | None:
    """The cheapest change with which under 1 % would have failed; None where nothing slept, or so few failed.

    Timeouts are searched at the size that it had, and other sizes only where no timeout is enough: the wake is the
    longest of those that the run measured.
    """
    trial = incident.first.trial
    failed = incident.failures(incident.summaries)
    objectives = read_objectives([], patience=incident.patience)
    if trial.wake is None or not incident.sleeps or objectives.all[0].is_met(failed.share):
        return None
    say("searching for what would have helped")
    pool = trial.pool
    own = (pool.pool_size, pool.max_overflow)
    space = Space(
        base=replace(pool, pool_timeout_s=None, name=""),
        sizes=(own,),
        timeouts_s=Space.timeouts(incident.patience.seconds),
        others=({},),
    )
    if not len(space):
        # No timeout of this driver is as short as the patience: what it had is the one candidate.
        space = replace(space, timeouts_s=())
    question = Question(
        plan=_of_variant(plan, trial.variant),
        wake=replace(trial.wake, latency=Constant(incident.wake_latency_s)),
        objectives=objectives,
        space=space,
        share=1.0,
        seeds=tuple(seeds),
        budget=None,
        today=pool,
    )
    with_room_s = MARGIN * incident.wake_latency_s
    if with_room_s <= incident.patience.seconds:
        # What just reaches the wake of that night would not reach the next one.
        roomier = replace(question, wake=replace(question.wake, latency=Constant(with_room_s)))
        found = await answer(roomier, playing, say)
        if found.found is not None:
            return found
    found = await answer(question, playing, say)
    if found.found is None and (larger := [(size, 0) for size in SIZES if size > pool.capacity]):
        found = await answer(replace(question, space=replace(space, sizes=(own, *larger))), playing, say)
    return found


def _of_variant(plan: PlannedRun, variant: str) -> PlannedRun:
    """The plan with this variant of the story only."""
    kept = tuple(one for one in plan.scenario.variants if one.name == variant)
    return replace(plan, scenario=replace(plan.scenario, variants=kept, expect=None))
