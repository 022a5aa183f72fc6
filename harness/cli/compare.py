"""`coldstart compare`: pool configurations compared, with the differences in words."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.text import Text

from harness.analysis.beside import Beside
from harness.analysis.compare import Comparison
from harness.analysis.decision import Decision
from harness.analysis.labels import Names
from harness.analysis.load import Run
from harness.analysis.tables import NOTE, groups, in_a_line, literal, markdown_table, shares, times
from harness.cli.console import console as output_console
from harness.cli.decision import HEADING, print_decision
from harness.cli.options import FAILING, with_options
from harness.cli.table import Column, Row, Sheet
from harness.cli.terminal import echo
from harness.model.errors import UserError
from harness.model.visible import spreadsheet_row

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--json", "form", flag_value="json", help="One JSON document.")
@click.option("--csv", "form", flag_value="csv", help="A row a configuration and wake, with every measure.")
@click.option("--markdown", "form", flag_value="markdown", help="Tables to paste.")
@click.option("--charts", "charts", type=FOLDER, help="Also draw them side by side, into this folder.")
@click.option(
    "--beside",
    "two",
    nargs=2,
    metavar="A B",
    help="Two configurations of one run in one picture.  [default: the only two]",
)
@with_options(FAILING)
def compare(
    runs: Sequence[str],
    form: str | None,
    charts: Path | None,
    two: tuple[str, str] | None,
    fail_if: Sequence[str],
) -> int:
    """Compare the pools of RUNS, with intervals. RUNS are ids, paths, or newest; pools are compared in pairs, too."""
    from harness.analysis import load
    from harness.analysis.compare import compare as compared
    from harness.gate.fail_if import Failing, failing, read_conditions
    from harness.results.disk import writing

    conditions = read_conditions(fail_if)
    # The same run may be given twice, by its id and as `newest`.
    loaded = list({run.folder.resolve(): run for run in map(load, runs)}.values())
    comparison = compared(loaded)
    pairs = _beside(loaded, two)
    if charts is not None or two is not None:
        from harness.analysis.charts import draw_beside, draw_comparison

        folder = charts or loaded[0].folder / "charts"
        with writing(folder):
            drawn = [] if charts is None else draw_comparison(loaded, charts)
            drawn += draw_beside(pairs, folder) if two is not None else []
        for path in dict.fromkeys(drawn):
            echo(path, err=True)
    if form == "json":
        echo(json.dumps(comparison.to_json(), allow_nan=False))
    elif form == "csv":
        rows = [spreadsheet_row(line.to_row()) for line in comparison.lines]
        # Only a story with a patience has the columns of answers within it.
        fullest = max(rows, key=len, default={})
        writer = csv.DictWriter(sys.stdout, fieldnames=list(fullest))
        writer.writeheader()
        writer.writerows(rows)
    elif form == "markdown":
        echo(markdown(comparison))
    else:
        _print(comparison, pairs)
    of = [f" in {run.folder.name}" if len(loaded) > 1 else "" for run in loaded]
    each = (failing(conditions, run.trials, run.summaries, of=name) for run, name in zip(loaded, of, strict=True))
    found = sum(each, Failing())
    for line in found.lines:
        echo(f"coldstart: {line}", err=True)
    return found.exit_status


def _beside(runs: Sequence[Run], two: tuple[str, str] | None) -> list[Beside]:
    """The two configurations that are asked for, else those of a single run of two. Raises `UserError`."""
    from harness.analysis.beside import WHERE, beside, only_two

    if two is None:
        return only_two(runs[0]) if len(runs) == 1 else []
    if len(runs) > 1:
        raise UserError("is about two configurations of one run", where=WHERE, allowed="one RUN")
    return beside(runs[0], *two)


def markdown(comparison: Comparison) -> str:
    """The comparison's tables and sentences in Markdown."""
    parts = []
    for run, wake, lines in groups(comparison):
        columns = [*shares(lines), *times()]
        names = ["pool", *(name.replace("\n", " ") for name, _ in columns)]
        rows = [[line.configuration, *(in_a_line(value(line)) for _, value in columns)] for line in lines]
        parts.append(f"**{literal(wake)}** ({literal(run)})\n\n{markdown_table(names, rows)}")
    meanings = Names.of(comparison.lines).meanings()
    parts.append(
        "\n".join(f"- {literal(sentence)}" for sentence in [*meanings, *comparison.sentences(), *comparison.doubts])
    )
    decisions = [_decision(decision, run if len(comparison.decisions) > 1 else "")
                 for run, decision in comparison.decisions.items()]  # fmt: skip
    return "\n\n".join([*decisions, *parts, f"In brackets: {NOTE}"])


def _decision(decision: Decision, run: str) -> str:
    """What to set, in Markdown; the lines to paste and the commands are blocks of code."""
    heading = f"**{HEADING}**" + (f" ({literal(run)})" if run else "")
    first, *others = map(literal, decision.sentences)
    settings, commands = (f"```\n{chr(10).join(lines)}\n```" for lines in (decision.settings, decision.commands))
    return "\n\n".join([
        f"{heading}: {first}",
        *([settings] if decision.settings else []),
        *others,
        *([decision.asked, commands] if decision.commands else []),
    ])  # fmt: skip


def _print(comparison: Comparison, pairs: Sequence[Beside]) -> None:
    console = output_console()
    shown = ""
    for run, wake, lines in groups(comparison):
        if run != shown:
            console.print(f"\n{run}", style="bold", soft_wrap=True)
            shown = run
        seeds = f"{lines[0].trials} seeds" if lines[0].trials > 1 else "one seed"
        console.print(f"\n{wake}: {lines[0].requests} requests each, {seeds}", style="bold")
        for columns in (shares(lines), times()):
            rows = [Row(line.configuration, [value(line) for _, value in columns]) for line in lines]
            console.print(Sheet("pool", [Column(name) for name, _ in columns], rows))
    console.print()
    for meaning in Names.of(comparison.lines).meanings():
        console.print(Text(meaning, "dim"))
    for sentence in comparison.sentences():
        console.print(Text("• ") + Text(sentence))
    for doubt in comparison.doubts:
        console.print(Text(f"• {doubt}", "yellow"))
    console.print(Text(f"In the second line: {NOTE}", "dim"))
    for pair in pairs:
        console.print(f"\n{pair.wake}: {' beside '.join(pair.names)}", style="bold")
        console.print(Text(f"differs: {pair.differs()}"))
        console.print(Text(f"changed: {pair.changed()}"))
    for run, decision in comparison.decisions.items():
        print_decision(console, decision, of=run if len(comparison.decisions) > 1 else "")
