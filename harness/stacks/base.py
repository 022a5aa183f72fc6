"""What a stack is, and what it writes to while it runs: the seams between running, recording and watching."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.timeline import Warm
from harness.model.trial import Trial

Row: TypeAlias = Mapping[str, Any]
"""One row of a table of harness/model/columns.py, without its `trial`."""


class Recorder(Protocol):
    """Where measurements go as they are made. Times are seconds from the start of the trial's burst."""

    def add_requests(self, trial: int, rows: Sequence[Row]) -> None: ...

    def add_pool(self, trial: int, rows: Sequence[Row]) -> None: ...

    def add_events(self, trial: int, rows: Sequence[Row]) -> None: ...

    def note(self, line: str) -> None:
        """Adds a line that a reader of the run must know, about how it was played."""
        ...

    def trial_ended(self, trial: int, *, wall_s: float) -> None: ...


class Progress(Protocol):
    """Shows how a run goes on: it is told every trial's phase and every request that ended."""

    def say(self, line: str) -> None:
        """One line that concerns the run as a whole."""
        ...

    def phase(self, trial: Trial, phase: str) -> None: ...

    def request_ended(self, trial: Trial, outcome: str) -> None: ...

    def trial_ended(self, trial: Trial) -> None: ...


class Quiet:
    """A `Progress` for code that watches nothing."""

    def say(self, line: str) -> None:
        """Nobody reads it."""

    def phase(self, trial: Trial, phase: str) -> None:
        """Nobody watches."""

    def request_ended(self, trial: Trial, outcome: str) -> None:
        """Nobody counts."""

    def trial_ended(self, trial: Trial) -> None:
        """Nobody waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a stack is to play a plan, whatever the plan is."""

    parallel: int | None = None
    """Trials at a time; None: the stack decides, and says why."""
    workers: int | None = None
    """Locust workers of each trial, under a master; None: one Locust process drives the whole schedule."""
    up_port: int | None = None
    """Of the `coldstart up` whose database a running application has; None: the only one that is running."""
    logs: Path = field(default_factory=Path)
    """The folder for the logs of the stack's processes."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How many trials run at a time, and why that many."""

    trials: int
    why: str


def check_warm(trials: Sequence[Trial]) -> None:
    """Raises `UserError` when a story warms more connections than a pool can hold, or ages that a pool can't have."""
    for trial in trials:
        for phase in trial.story.timeline:
            if isinstance(phase, Warm) and phase.ages_s and trial.pool.pool_library.fills_itself:
                raise UserError(
                    f"ages_s of a warm phase are not for {trial.pool.pool_library}'s pool, which opens its connections "
                    "by itself",
                    where=f"scenario {trial.story.name}",
                    allowed="pool_library=sqlalchemy",
                )
            if isinstance(phase, Warm) and (phase.opens or 0) > trial.pool.capacity:
                raise UserError(
                    f"--warm {phase.opens} is more than the pool {trial.pool.short} can hold",
                    where=f"scenario {trial.story.name}",
                    allowed=f"0 to {trial.pool.capacity}",
                )


class Stack(Protocol):
    """One place where trials can run.

    `check` refuses by name, before anything starts, what this stack can't do (`UserError`). `running` is an async
    context: entering starts what all trials share (raising `StackError`, with everything stopped again), leaving
    stops it; its options say how many trials run at a time. `run_trial` may then be called for several trials at once.
    """

    name: str

    def check(self, plan: PlannedRun, options: RunOptions) -> None: ...

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism: ...

    def versions(self) -> dict[str, str]: ...

    def running(self, plan: PlannedRun, options: RunOptions) -> AbstractAsyncContextManager["RunningStack"]: ...


class RunningStack(Protocol):
    """A stack that has started."""

    def versions(self) -> dict[str, str]:
        """The servers' versions, for the manifest."""
        ...

    async def run_trial(self, trial: Trial, recorder: Recorder, progress: Progress) -> None: ...
