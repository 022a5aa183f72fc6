"""What became of the checks of a file: verdicts, the run behind each, and the exit status."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.sentences import plural
from harness.gate.baseline import Against
from harness.gate.sentences import change_in_words
from harness.gate.verdict import RULE, Judged, Verdict, worst
from harness.model.exit_status import EXIT_INTERRUPTED, EXIT_MISSED, EXIT_STACK, EXIT_UNKNOWN

EXIT_STATUSES = {Verdict.MISSED: EXIT_MISSED, Verdict.UNKNOWN: EXIT_UNKNOWN, Verdict.MET: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One check of the file."""

    name: str
    line: int | None
    """Where it begins in the file; None: not known."""
    title: str
    """The scenario, and whose application it was played with."""
    stack: str
    judged: tuple[Judged, ...]
    run: str | None = None
    """The id of the run; None: there is none."""
    folder: Path | None = None
    against: Against | None = None
    notes: tuple[str, ...] = ()
    """What a reader must know besides."""
    wall_s: float = 0.0
    exit_status: int = 0
    """Of the run itself: 0, 3 where the stack died or results could not be written, 130 after Ctrl-C."""

    @property
    def verdict(self) -> Verdict:
        return worst(one.verdict for one in self.judged)

    @property
    def changes_in_words(self) -> list[str]:
        """A sentence for everything that was compared with the baseline, and for everything that was not."""
        if self.against is None:
            return []
        return [*map(change_in_words, self.against.changes), *self.against.left_out]

    @property
    def differing(self) -> str:
        """The sentence on what the baseline was made with; empty: with the same, or there is none."""
        if self.against is None or not self.against.differs:
            return ""
        return f"The baseline was not made under the same conditions: {'; '.join(self.against.differs)}."

    @property
    def remarks(self) -> list[str]:
        """Every sentence besides the verdicts."""
        return [*self.changes_in_words, *filter(None, [self.differing]), *self.notes]

    @property
    def patience(self) -> str:
        """The sentence that says which answers come too late; empty where no objective counts them."""
        rules = dict.fromkeys(one.patience.rule() for one in self.judged if one.objective.needs_patience)
        return " ".join(rules)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "scenario": self.title, "stack": self.stack, "run": self.run,
            "folder": None if self.folder is None else str(self.folder), "verdict": self.verdict.value,
            "objectives": [one.to_json() for one in self.judged],
            "against": None if self.against is None else {
                **self.against.to_json(), "in_words": [*self.changes_in_words, *filter(None, [self.differing])],
            },
            "notes": list(self.notes), "wall_s": round(self.wall_s, 3),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gate:
    """All checks of a file."""

    file: str
    checks: tuple[Checked, ...]

    @property
    def judged(self) -> list[Judged]:
        return [one for check in self.checks for one in check.judged]

    @property
    def verdict(self) -> Verdict:
        """Missed where a check is; a check that judged nothing is unknown."""
        return worst(check.verdict for check in self.checks)

    @property
    def exit_status(self) -> int:
        """130 after Ctrl-C, 3 where a stack died, 4 where an objective is missed, 5 where one is unknown, else 0."""
        of_runs = {check.exit_status for check in self.checks}
        first = next((status for status in (EXIT_INTERRUPTED, EXIT_STACK) if status in of_runs), 0)
        return first or EXIT_STATUSES[self.verdict]

    @property
    def headline(self) -> str:
        """`1 missed, 5 met in 3 checks`; `all 6 met in 3 checks`."""
        return f"{counted(self.judged)} in {plural(len(self.checks), 'check')}"

    def to_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return {
            "file": self.file, "verdict": self.verdict.value, "exit_status": self.exit_status, "rule": RULE,
            "checks": [check.to_json() for check in self.checks],
        }  # fmt: skip


def counted(judged: Iterable[Judged]) -> str:
    """How many verdicts are which, the worst first: `1 missed, 1 unknown, 4 met`."""
    found = [one.verdict for one in judged]
    counts = [f"{found.count(verdict)} {verdict}" for verdict in Verdict if verdict in found]
    if len(counts) > 1:
        return ", ".join(counts)
    if not counts:
        return "nothing was judged"
    return f"all {counts[0]}" if len(found) > 1 else counts[0]
