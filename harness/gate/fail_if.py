"""`--fail-if`: what a run must not come to, the opposite of an objective, in the same words: `failed>1%`."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.gate.verdict import Verdict, judge
from harness.model.exit_status import EXIT_MISSED, EXIT_UNKNOWN
from harness.model.objective import Objective, read_objective
from harness.model.patience import Patience
from harness.model.summary import TrialSummary
from harness.model.trial import Trial

OPTION = "--fail-if"


@dataclass(frozen=True, slots=True)
class Failing:
    """What `--fail-if` found: a line for each condition that holds, or of which that can't be said."""

    lines: tuple[str, ...] = ()
    exit_status: int = 0
    """4: a condition holds; 5: none is known to hold, and of one that can't be said."""

    def exit_status_after(self, status: int) -> int:
        """Beside the status of the run itself: one that was not played to its end (3, 130) says more, 1 less than 4."""
        if status > 1:
            return status
        return EXIT_MISSED if self.exit_status == EXIT_MISSED else status or self.exit_status

    def __add__(self, other: "Failing") -> "Failing":
        statuses = {self.exit_status, other.exit_status}
        status = next((status for status in (EXIT_MISSED, EXIT_UNKNOWN) if status in statuses), 0)
        return Failing(self.lines + other.lines, status)


def read_conditions(texts: Sequence[str]) -> list[Objective]:
    """Read each condition. Raises `UserError`."""
    return [read_objective(text, where=OPTION) for text in texts]


def failing(
    conditions: Sequence[Objective], trials: Sequence[Trial], summaries: Sequence[TrialSummary], *, of: str = ""
) -> Failing:
    """Which conditions hold for the requests of all seeds together, of each configuration at each wake.

    Controls are left out. `of` names the run in each line, where there are several.
    """
    if not conditions:
        return Failing()
    judged = judge(conditions, trials, summaries)
    if not judged:
        # Silence would look like a pass.
        return Failing((f"{OPTION}{of}: only controls were played, so nothing is known of a wake",), EXIT_UNKNOWN)
    lines, unknown = [], []
    for one in judged:
        where = f"{OPTION} {one.objective}{of}: {one.configuration}, {one.wake}"
        if one.verdict is Verdict.MET:
            lines.append(f"{where}: it is {one.measured}{_late(one.objective, one.patience)}")
        elif one.verdict is Verdict.UNKNOWN:
            unknown.append(f"{where}: unknown, {one.why}")
    status = EXIT_MISSED if lines else EXIT_UNKNOWN if unknown else 0
    return Failing((*lines, *unknown), status)


def _late(condition: Objective, patience: Patience) -> str:
    """What counts as failed beside what the table shows, where the condition counts it."""
    return f", an answer after {patience.seconds:g} s counted as none" if condition.needs_patience else ""
