"""The progress of a run: on a terminal a table with a row for each trial; else a line when a trial ends."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.cli.console import console as output_console
from harness.model.outcomes import counted
from harness.model.trial import Trial
from harness.stacks.base import Progress

LINES_SHOWN = 24
"""With more trials than this, only those under way are shown."""


@contextmanager
def watching(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Show the trials on standard error while they run."""
    console = output_console(stderr=True)
    if not console.is_terminal:
        yield LineProgress(console, len(trials))
        return
    progress = LiveProgress(trials)
    with Live(get_renderable=progress.render, console=console, refresh_per_second=5, transient=True):
        yield progress


class LineProgress:
    """For logs and pipes: a line for each message about the run, and one for every trial that has ended."""

    def __init__(self, console: Console, trials: int) -> None:
        self._console = console
        self._trials = trials
        self._ended = 0
        self._counts: dict[int, Counter[str]] = {}

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def phase(self, trial: Trial, phase: str) -> None:
        pass

    def request_ended(self, trial: Trial, outcome: str) -> None:
        self._counts.setdefault(trial.number, Counter())[outcome] += 1

    def trial_ended(self, trial: Trial) -> None:
        self._ended += 1
        counts = counted(self._counts.pop(trial.number, Counter()))
        self._console.print(f"{self._ended}/{self._trials}  {trial.label}: {counts}", highlight=False, soft_wrap=True)


class LiveProgress:
    """For a terminal: a table that is drawn again several times a second."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        self._started_at_s = monotonic()
        self._messages: list[str] = []
        self._phases: dict[int, tuple[str, float]] = {}
        self._counts: dict[int, Counter[str]] = {trial.number: Counter() for trial in trials}
        self._ended: set[int] = set()

    def say(self, line: str) -> None:
        self._messages.append(line)

    def phase(self, trial: Trial, phase: str) -> None:
        self._phases[trial.number] = (phase, monotonic())

    def request_ended(self, trial: Trial, outcome: str) -> None:
        self._counts[trial.number][outcome] += 1

    def trial_ended(self, trial: Trial) -> None:
        self._ended.add(trial.number)
        self.phase(trial, "done")

    def render(self) -> Group:
        elapsed_s = monotonic() - self._started_at_s
        table = Table(box=None, pad_edge=False, show_header=False)
        for trial in self._shown():
            phase, since_s = self._phases.get(trial.number, ("waiting for its turn", self._started_at_s))
            done = trial.number in self._ended
            seconds = "" if done or trial.number not in self._phases else f"{monotonic() - since_s:.0f} s"
            style = "green" if done else "dim" if trial.number not in self._phases else ""
            table.add_row(trial.label, Text(phase, style), seconds, counted(self._counts[trial.number]))
        footer = f"{len(self._ended)} of {len(self._trials)} trials done, {elapsed_s:.0f} s"
        return Group(*self._messages, table, Text(footer, "dim"))

    def _shown(self) -> list[Trial]:
        if len(self._trials) <= LINES_SHOWN:
            return list(self._trials)
        under_way = [t for t in self._trials if t.number in self._phases and t.number not in self._ended]
        return under_way[:LINES_SHOWN]
