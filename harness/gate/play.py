"""Plays a check as an ordinary run, judges it, and compares it with its baseline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from harness.analysis import Run, load
from harness.gate.baseline import Against, against
from harness.gate.checks import Checked
from harness.gate.file import Check
from harness.gate.verdict import Judged, judge
from harness.model.errors import StackError
from harness.model.exit_status import EXIT_INTERRUPTED, EXIT_STACK
from harness.model.expectation import Verdict as Expected
from harness.model.plan import PlannedRun
from harness.model.status import RunStatus
from harness.run import FinishedRun, execute
from harness.stacks.base import Progress, RunOptions, Stack

NOT_PLAYED = "not played"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck:
    """A check with everything that it names found and read: it can be played."""

    check: Check
    stack: tuple[Stack, str]
    plan: PlannedRun
    options: RunOptions
    baseline: Run | None


def play(planned: PlannedCheck, *, progress: Progress, out: Path | None, charts: bool, argv: Sequence[str]) -> Checked:
    """Play and judge one check. A stack that dies makes its verdicts unknown, and the other checks can go on."""
    began_s = monotonic()
    try:
        done = execute(
            planned.plan, stack=planned.stack, options=planned.options, progress=progress, out=out, charts=charts,
            argv=argv,
        )  # fmt: skip
    except StackError as error:
        return unplayed(planned, why=str(error), exit_status=EXIT_STACK, wall_s=monotonic() - began_s)
    check, plan = planned.check, planned.plan
    judged = judge(check.objectives, plan.trials, done.summaries, patience=check.patience)
    found = None
    if planned.baseline is not None:
        found = against(planned.baseline, load(done.folder), check.objectives, patience=check.patience)
    return Checked(
        name=check.name,
        line=check.line,
        title=plan.title,
        stack=done.stack,
        judged=tuple(judged if found is None else [replace(one, before=_before(one, found)) for one in judged]),
        run=done.id,
        folder=done.folder,
        against=found,
        notes=tuple(_notes(done)),
        wall_s=monotonic() - began_s,
        exit_status=_exit_status(done),
    )


def unplayed(planned: PlannedCheck, *, why: str = NOT_PLAYED, exit_status: int = 0, wall_s: float = 0.0) -> Checked:
    """A check that was not played to its end: every verdict is unknown."""
    check, plan = planned.check, planned.plan
    return Checked(
        name=check.name,
        line=check.line,
        title=plan.title,
        stack=planned.stack[0].name,
        judged=tuple(judge(check.objectives, plan.trials, (), patience=check.patience, why=why)),
        wall_s=wall_s,
        exit_status=exit_status,
    )


def _before(one: Judged, found: Against) -> float | None:
    """The baseline's value, where it is of the same seeds: of others it would seem a change that is none."""
    change = found.change(one)
    if change is None or len(change.effect.seeds) != one.seeds:
        return None
    return change.values[str(one.objective)]


def _exit_status(done: FinishedRun) -> int:
    """Only what keeps the run from being whole: what the scenario expects is `coldstart run`'s to judge."""
    if done.status is RunStatus.ABORTED:
        return EXIT_INTERRUPTED
    return EXIT_STACK if done.unwritten else 0


def _notes(done: FinishedRun) -> list[str]:
    missed = [one for one in done.judgements if one.verdict is Expected.NOT_REPRODUCED]
    return [
        *done.notes,
        *([f"The run was {done.status}."] if done.status is not RunStatus.COMPLETE else []),
        *([done.unwritten] if done.unwritten else []),
        *(
            f"The scenario expects something else of {one.pool}: {one.statement}. No check judges that."
            for one in missed
        ),
    ]
