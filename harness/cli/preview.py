"""What virtual time says of a run in real time, while that is still to come: an answer within seconds."""

from collections.abc import Sequence

from harness.model.errors import StackError, UserError
from harness.model.outcomes import counted
from harness.model.plan import PlannedRun
from harness.model.trial import Trial
from harness.processes.cancelling import run_async
from harness.search.playing import Playing, program_of
from harness.simulation.simulators import Program, Say
from harness.stacks.base import RunOptions, Stack
from harness.stacks.choose import choose, plays_in_real_time

MOST_REQUESTS = 10_000
"""More than these take longer than somebody who waits for a preview wants to wait."""
HEADING = "preview, in virtual time (simulated); what is measured follows"


def show_preview(stack: Stack, plan: PlannedRun, options: RunOptions, say: Say, wanted: bool | None) -> None:
    """Say what comes of each configuration at each wake in virtual time: one seed, no controls.

    `wanted`: None means where the stack can't play all trials at a time, and virtual time can play them within
    seconds. Raises `UserError` where it is wanted of a run in virtual time, or when the stack can't play this plan.
    """
    trials = [trial for trial in plan.trials if not trial.is_control and trial.seed == plan.trials[0].seed]
    if not plays_in_real_time(stack):
        if wanted:
            raise UserError("a preview belongs to the stacks in real time", where="--preview")
        return
    by_itself = wanted is None
    if by_itself:
        requests = sum(load.requests for trial in trials for load in trial.story.loads)
        wanted = stack.parallelism(plan.trials, options).trials < len(plan.trials) and requests <= MOST_REQUESTS
    if not wanted or not trials:
        return
    stack.check(plan, options)
    try:
        choose("simulated")[0].check(plan, RunOptions())
        program = program_of(plan, where="--preview")
    except (StackError, UserError) as error:
        if not by_itself:
            say(f"no preview: {error}")
        return
    seeds = {trial.seed for trial in plan.trials}
    say(HEADING if len(seeds) == 1 else f"{HEADING} (of {len(seeds)} seeds the first)")
    try:
        run_async(_play(plan, trials, program, say))
    except (StackError, UserError) as error:
        say(f"the preview ends: {error}")


async def _play(plan: PlannedRun, trials: Sequence[Trial], program: Program, say: Say) -> None:
    async with Playing.running(say=say, program=program) as playing:
        for trial in trials:
            played = await playing.play(trial, plan.times(trial.story))
            say(f"  {trial.label}: {counted(played.outcomes)}")
