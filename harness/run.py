"""A run: a set of trials with one manifest, on one stack, recorded while it runs and judged at the end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

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
from harness.results import RunWriter
from harness.results.disk import writing
from harness.results.folder import DEFAULT_RUNS
from harness.stacks.base import Progress, Recorder, RunningStack, RunOptions, Stack
from harness.stacks.choose import choose
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
    with terminable():
        writer, run, status = _recorded(chosen, plan, options, progress, create)
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
        stack=chosen.name,
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
        for trial in plan.trials:
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
