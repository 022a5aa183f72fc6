"""A run: a set of trials with one manifest, on one stack, recorded while it runs and judged at the end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shlex import quote
from time import monotonic
from typing import Any

from harness import __version__
from harness.analysis import Run, load
from harness.analysis.decision import Decision, decide
from harness.analysis.judge import judge
from harness.analysis.summarise import write_summary
from harness.model.errors import StackError, TrialDiedError, UserError
from harness.model.exit_status import EXIT_INTERRUPTED, EXIT_NOT_REPRODUCED, EXIT_STACK, EXIT_UNKNOWN
from harness.model.expectation import Judgement, Verdict
from harness.model.plan import PlannedRun
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.trial import Trial
from harness.processes.beside import first_of
from harness.processes.cancelling import run_async
from harness.processes.interruption import held, terminable
from harness.results import RunWriter, read_manifest
from harness.results.disk import writing
from harness.results.folder import DEFAULT_RUNS
from harness.results.manifest import Manifest, RecordedTrial, this_machine
from harness.stacks.base import Progress, Recorder, RunningStack, RunOptions, Stack
from harness.stacks.choose import TARGET, choose, on_scheduler
from harness.stacks.honoured import unlike_the_scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that has ended, with its results."""

    id: str
    folder: Path
    stack: str
    plan: PlannedRun
    status: RunStatus
    summaries: list[TrialSummary]
    judgements: list[Judgement]
    decision: Decision
    """What to set, as far as the run shows it."""
    notes: list[str] = field(default_factory=list)
    """A line for each property of the scenario that this stack can't imitate, and for each incident of the stack."""
    unwritten: str = ""
    """The error when verdicts or charts could not be written after the run was complete; empty: none."""

    @property
    def exit_status(self) -> int:
        if self.status is RunStatus.ABORTED:
            return EXIT_INTERRUPTED
        if self.unwritten:
            return EXIT_STACK
        if any(judgement.verdict is Verdict.NOT_REPRODUCED for judgement in self.judgements):
            return EXIT_NOT_REPRODUCED
        # What was measured is kept and shown, but a build or a script must not take it for a result.
        return 0 if all(summary.is_measurement for summary in self.summaries) else EXIT_UNKNOWN

    @property
    def how_to_resume(self) -> str:
        return how_to_resume(self.folder, self.status, self.stack)

    def to_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return {
            "run": self.id,
            "stack": self.stack,
            "scenario": self.plan.scenario.name,
            "status": self.status,
            "folder": str(self.folder),
            "trials": [summary.to_json() for summary in self.summaries if not summary.trial.is_control],
            "controls": [summary.to_json() for summary in self.summaries if summary.trial.is_control],
            "expectations": [judgement.to_json() for judgement in self.judgements],
        }


def how_to_resume(folder: Path, status: RunStatus, stack: str) -> str:
    """A line that says how to go on with a run that was cut short; empty where nothing is left, or it can't be done."""
    if status is RunStatus.COMPLETE or stack == TARGET:
        return ""
    return f"`coldstart resume {quote(str(folder))}` plays the rest"


def execute(
    plan: PlannedRun,
    *,
    stack: "str | tuple[Stack, str]",
    options: RunOptions,
    progress: Progress,
    out: Path | None = None,
    charts: bool = True,
    argv: Sequence[str] = (),
) -> FinishedRun:
    """Play a plan's trials on a stack and record them under `out`. After Ctrl-C the run is kept, as `aborted`.

    `stack` is a name, or the result of `choose`. Raises `UserError` before anything starts when the stack can't play
    this plan, and `StackError` when a part of it dies; what was measured until then is kept in the run's folder, with
    the status `failed`.
    """
    chosen, why = choose(stack) if isinstance(stack, str) else stack
    chosen.check(plan, options)
    trials = plan.trials
    parallelism = chosen.parallelism(trials, options)
    unlike = unlike_the_scenario(chosen.name, plan)
    progress.say(why)
    progress.say(f"{len(trials)} trials, {parallelism.trials} at a time: {parallelism.why}")
    create = partial(
        RunWriter.create,
        out or DEFAULT_RUNS,
        plan=plan,
        stack=chosen.name,
        versions=chosen.versions(),
        parallel=parallelism.trials,
        workers=options.workers,
        notes=[why, parallelism.why, *unlike],
        argv=list(argv),
    )
    return _finished(chosen, plan, options, progress, create, charts=charts, unlike=unlike)


def resume(folder: Path, *, progress: Progress, scheduler: str | None = None, charts: bool = True) -> FinishedRun:
    """Go on with a run that was cut short: the trials that had ended are kept, the others are played anew.

    On the stack, and in real time with as many trials at a time, as it was begun; `scheduler` is the address of the
    Dask scheduler on whose workers a simulated run goes on, wherever it was begun. Raises what `execute` does, and
    `UserError` for a run that is complete or under way, or whose trials would not be comparable with those that are
    left: of another version, of another machine in real time, of other DATABASE_ variables, or of a running
    application.
    """
    manifest = read_manifest(folder)
    chosen = to_resume(manifest, folder, scheduler=scheduler)
    plan = manifest.plan
    options = RunOptions(parallel=manifest.parallel if plan.real_time else None, workers=manifest.workers)
    chosen.check(plan, options)
    left = manifest.open_trials
    parallelism = chosen.parallelism(left, options)
    kept = f"{len(manifest.ended)} of {len(plan.trials)} trials are kept"
    progress.say(f"{kept}; {len(left)} are played, {parallelism.trials} at a time: {parallelism.why}")
    create = partial(RunWriter.resume, folder, parallel=parallelism.trials, note=f"resumed: {kept}")
    unlike = unlike_the_scenario(chosen.name, plan)
    return _finished(chosen, plan, options, progress, create, charts=charts, unlike=unlike)


def to_resume(manifest: Manifest, folder: Path, *, scheduler: str | None) -> Stack:
    """The stack that can go on with this run. Raises `UserError` as `resume` says."""
    where = str(folder)
    if manifest.status in (RunStatus.COMPLETE, RunStatus.RUNNING):
        left = "nothing is left to play" if manifest.status is RunStatus.COMPLETE else "it is under way"
        raise UserError(f"is {manifest.status}: {left}", where=where, allowed="a run that was cut short")
    if manifest.stack == TARGET:
        raise UserError("its application and database are not as they were", where=where, allowed="to play it anew")
    if scheduler is not None and manifest.plan.real_time:
        raise UserError(f"a run on the {manifest.stack} stack is not played on it", where="--scheduler")
    stack, _ = choose(manifest.stack) if scheduler is None else on_scheduler(scheduler)
    here: dict[str, Any] = {"coldstart": __version__, **stack.versions()}
    there: dict[str, Any] = {**manifest.versions}
    if manifest.plan.real_time:
        here, there = {**here, **this_machine()}, {**there, **manifest.machine}
    for what, value in here.items():
        if there.get(what) != value:
            raise UserError(
                f"was begun with {what} {there.get(what)}, here it is {value}: its trials would not be comparable",
                where=where,
                allowed="to play it anew",
            )
    if [RecordedTrial.of(trial) for trial in manifest.plan.trials] != [
        replace(trial, wall_s=None) for trial in manifest.trials
    ]:
        raise UserError("the DATABASE_ variables are not what they were", where=where, allowed="to play it anew")
    return stack


def _finished(
    stack: Stack,
    plan: PlannedRun,
    options: RunOptions,
    progress: Progress,
    create: Callable[[], RunWriter],
    *,
    charts: bool,
    unlike: Sequence[str],
) -> FinishedRun:
    with terminable():
        writer, run, status = _recorded(stack, plan, options, progress, create)
    judgements = judge(plan, run.summaries)
    unwritten = ""
    try:
        writer.judged(judgements)
        if charts:
            _draw(run, progress)
    except (StackError, UserError) as error:
        # The run itself is complete, so its table is still shown.
        unwritten = str(error)
    return FinishedRun(
        id=writer.id,
        folder=writer.folder,
        stack=stack.name,
        plan=plan,
        status=status,
        notes=[*unlike, *writer.noted],
        summaries=run.summaries,
        judgements=judgements,
        decision=decide(run),
        unwritten=unwritten,
    )


def _recorded(
    stack: Stack, plan: PlannedRun, options: RunOptions, progress: Progress, create: Callable[[], RunWriter]
) -> tuple[RunWriter, Run, RunStatus]:
    """Play and record the trials: the run's folder gets its final status whenever a signal comes."""
    writer: RunWriter | None = None
    status = RunStatus.FAILED
    try:
        with held():
            writer = create()
        options = replace(options, logs=writer.logs, parallel=writer.manifest.parallel)
        status = _record(stack, plan, options, writer, progress)
    except KeyboardInterrupt:
        if writer is None:
            raise
        status = RunStatus.ABORTED
    finally:
        if writer is not None:
            with held():
                if status is RunStatus.FAILED:
                    progress.say(f"what was measured until then is kept in {writer.folder}")
                    if hint := how_to_resume(writer.folder, status, stack.name):
                        progress.say(hint)
                run = _close(writer, status)
    return writer, run, status


def _close(writer: RunWriter, status: RunStatus) -> Run:
    """Write the run's last files and read the run back."""
    writer.close(status)
    run = load(writer.folder)
    with writing(writer.folder / "summary.csv"):
        write_summary(run.summaries, writer.folder / "summary.csv")
    return run


def _draw(run: Run, progress: Progress) -> None:
    # Imported here: that takes longer than a trial in virtual time.
    from harness.analysis.charts import draw_charts

    progress.say("drawing the charts")
    with writing(run.folder / "charts"):
        draw_charts(run, run.folder / "charts")


def _record(stack: Stack, plan: PlannedRun, options: RunOptions, writer: RunWriter, progress: Progress) -> RunStatus:
    """Run every trial and return the status of the run: COMPLETE or ABORTED."""
    try:
        run_async(_run_all(stack, plan, options, writer, progress))
    except KeyboardInterrupt:
        return RunStatus.ABORTED
    except BaseExceptionGroup as group:
        # One error cancels the other trials; it is the one that the user needs to read.
        raise first_of(group) from None
    return RunStatus.COMPLETE


async def _run_all(stack: Stack, plan: PlannedRun, options: RunOptions, writer: RunWriter, progress: Progress) -> None:
    places = asyncio.Semaphore(options.parallel or 1)
    deaths: list[TrialDiedError] = []
    async with stack.running(plan, options) as running, asyncio.TaskGroup() as group:
        writer.add_versions(running.versions())
        for trial in writer.manifest.open_trials:
            group.create_task(_run_one(running, trial, places, writer, progress, deaths), name=f"trial {trial.number}")
    for death in deaths:
        writer.note(str(death))
    if deaths:
        raise deaths[0]


async def _run_one(
    running: RunningStack,
    trial: Trial,
    places: asyncio.Semaphore,
    recorder: Recorder,
    progress: Progress,
    deaths: list[TrialDiedError],
) -> None:
    async with places:
        started_at_s = monotonic()
        try:
            await running.run_trial(trial, recorder, progress)
        except TrialDiedError as death:
            # The other trials go on, so that their measurements are kept.
            deaths.append(death)
            return
        recorder.trial_ended(trial.number, wall_s=monotonic() - started_at_s)
        progress.trial_ended(trial)
