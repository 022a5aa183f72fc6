"""What virtual time says of a run in real time, while that is still to come: an answer within seconds."""

from collections.abc import Sequence

from harness.model.errors import StackError, UserError
from harness.model.outcomes import counted
from harness.model.plan import PlannedRun
from harness.model.trial import Trial
from harness.processes.cancelling import run_async
from harness.search.playing import PlayedTrial, Playing, program_of
from harness.stacks.base import Progress, RunOptions, Stack
from harness.stacks.choose import choose, plays_in_real_time

MOST_REQUESTS = 10_000
"""More than these take longer than somebody who waits for a preview wants to wait."""
HEADING = "preview, in virtual time (simulated); what is measured follows"


def show_preview(stack: Stack, plan: PlannedRun, options: RunOptions, progress: Progress, wanted: bool | None) -> None:
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
        played = run_async(_played(plan, trials, progress))
    except (StackError, UserError) as error:
        if not by_itself:
            progress.say(f"no preview: {error}")
        return
    seeds = {trial.seed for trial in plan.trials}
    progress.say(HEADING if len(seeds) == 1 else f"{HEADING} (of {len(seeds)} seeds the first)")
    for trial, found in zip(trials, played, strict=True):
        progress.say(f"  {trial.label}: {counted(found.outcomes)}")


async def _played(plan: PlannedRun, trials: Sequence[Trial], progress: Progress) -> list[PlayedTrial]:
    async with Playing.running(say=progress.say, program=program_of(plan, where="--preview")) as playing:
        return [await playing.play(trial, plan.times(trial.story)) for trial in trials]
