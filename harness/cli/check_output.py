"""The terminal output of `coldstart check`: the verdict first, then each check with its numbers and its baseline."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.cli.console import console as output_console
from harness.cli.table import Column, Heading, Row, Sheet
from harness.gate.checks import Checked, Gate
from harness.gate.verdict import RULE, Judged, Verdict

STYLES = {Verdict.MET: "green", Verdict.MISSED: "bold red", Verdict.UNKNOWN: "yellow"}


def print_gate(gate: Gate) -> None:
    """Print the verdicts on standard output."""
    console = output_console()
    console.print()
    console.print(Text(f"{gate.file}: {gate.headline}", STYLES[gate.verdict]))
    for check in gate.checks:
        _print(console, check)
    console.print()
    console.print(Text(RULE, "dim"))


def _print(console: Console, check: Checked) -> None:
    console.print()
    console.print(
        Text(f"{check.name}: {check.verdict}", STYLES[check.verdict]) + Text(f", {check.title} on {check.stack}")
    )
    console.print(table(check))
    for sentence in check.changes_in_words:
        console.print(Text("• ") + Text(sentence))
    for doubt in [*filter(None, [check.differing]), *check.notes]:
        console.print(Text(f"• {doubt}", "yellow"))
    if check.patience:
        console.print(Text(check.patience, "dim"))
    if check.folder is not None:
        console.print(f"Results: {_from_here(check.folder)}", soft_wrap=True)


def table(check: Checked) -> Sheet:
    """A row for each verdict, grouped by wake; columns that would be empty in every row are left out."""
    seeds = any(one.seeds > 1 for one in check.judged)
    before = any(one.before is not None for one in check.judged)
    columns = [
        Column("pool", wraps=True), Column("objective"),
        *([Column("baseline")] if before else []), Column("now" if before else "measured"),
        *([Column("seeds\nmissed")] if seeds else []),
    ]  # fmt: skip
    parts: list[Heading | Row] = []
    for wake in dict.fromkeys(one.wake for one in check.judged):
        parts.append(Heading(wake))
        parts.extend(
            Row(one.verdict.value, _cells(one, seeds=seeds, before=before)) for one in check.judged if one.wake == wake
        )
    return Sheet("", columns, parts)


def _cells(one: Judged, *, seeds: bool, before: bool) -> list[Text]:
    style = "" if one.verdict is Verdict.MET else STYLES[one.verdict]
    old = Text("–" if one.before is None else one.objective.shown(one.before))
    measured = Text(one.why if one.verdict is Verdict.UNKNOWN else one.measured, style)
    return [
        Text(one.configuration), Text(str(one.objective)), *([old] if before else []), measured,
        *([Text(one.seeds_missed)] if seeds else []),
    ]  # fmt: skip


def _from_here(folder: Path) -> Path:
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
