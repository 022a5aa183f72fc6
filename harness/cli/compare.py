"""`coldstart compare`: pool configurations beside each other, with what is and what is not a difference."""

import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.compare import RATES, Comparison, Line
from harness.analysis.statistics import Measure
from harness.outcomes import Outcome

Columns: TypeAlias = list[tuple[str, Callable[[Line], str]]]
"""A table's columns by name, each with how a line fills it."""
NAME_WIDTH = 14
NOTE = "In the second line 95 % intervals: Wilson's for shares; for times whole trials resampled, from three seeds on."


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--json", "form", flag_value="json", help="One JSON document.")
@click.option("--csv", "form", flag_value="csv", help="A row a configuration and wake, with every measure.")
@click.option("--markdown", "form", flag_value="markdown", help="Tables to paste.")
def compare(runs: Sequence[str], form: str | None) -> None:
    """Compare the pool configurations of RUNS (ids, paths, or newest): rates, latencies, paired differences."""
    from harness.analysis import load
    from harness.analysis.compare import compare as compared

    found = compared([load(run) for run in runs])
    if form == "json":
        click.echo(json.dumps(found.to_json(), allow_nan=False))
    elif form == "csv":
        rows = [line.to_row() for line in found.lines]
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    elif form == "markdown":
        click.echo(markdown(found))
    else:
        _print(found)


def shares(lines: Sequence[Line]) -> Columns:
    """What fails, and what the pool costs; ways to fail that never occurred are left out."""

    def of(outcome: Outcome, line: Line) -> str:
        return _share(line.rates[outcome])

    occurred = [one for one in RATES if any(line.rates[one].value for line in lines)]
    return [
        ("fails", lambda line: _share(line.failures)),
        *((outcome.value.replace("_", "\n"), partial(of, outcome)) for outcome in occurred),
        ("alert\nlead", lambda line: _plain(line.alert_lead_s)),
        ("peak\nin use", lambda line: str(line.peak_connections)),
        ("connection\nseconds", lambda line: f"{line.held_s:.0f}"),
    ]


def times() -> Columns:
    """How long requests take, and when it is over."""
    return [
        ("p50", lambda line: _plain(line.latency_s["p50"].value)),
        ("p95", lambda line: _seconds(line.latency_s["p95"])),
        ("p99", lambda line: _seconds(line.latency_s["p99"])),
        ("max", lambda line: _plain(line.latency_s["max"].value)),
        ("queue\np95", lambda line: _seconds(line.checkout_p95_s)),
        ("first ok\nafter", lambda line: _plain(line.first_ok_s)),
        ("recovered\nafter", lambda line: _plain(line.recovered_s)),
    ]


def markdown(found: Comparison) -> str:
    """Tables and sentences, as a page can hold them."""
    parts = []
    for run, wake, met in _groups(found):
        told = [*shares(met), *times()]
        names = ["pool", *(name.replace("\n", " ") for name, _ in told)]
        rows = [[line.configuration, *(_in_a_line(value(line)) for _, value in told)] for line in met]
        table = [f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *rows)]
        parts.append("\n".join([f"**{wake}** ({run})", "", *table]))
    parts.append("\n".join(f"- {sentence}" for sentence in [*found.sentences(), *found.doubts]))
    return "\n\n".join([*parts, NOTE.replace("In the second line", "In brackets")])


def _print(found: Comparison) -> None:
    console = Console(highlight=False)
    said = ""
    for run, wake, met in _groups(found):
        if run != said:
            console.print(f"\n{run}", style="bold", soft_wrap=True)
            said = run
        seeds = f"{met[0].trials} seeds" if met[0].trials > 1 else "one seed"
        console.print(f"\n{wake}: {met[0].requests} requests each, {seeds}", style="bold")
        for told in (shares(met), times()):
            table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
            table.add_column("pool", overflow="fold", min_width=NAME_WIDTH)
            for name, _ in told:
                table.add_column(name, justify="right", no_wrap=True)
            for line in met:
                table.add_row(f"  {line.configuration}", *(value(line) for _, value in told))
            console.print(table)
    console.print()
    for sentence in found.sentences():
        console.print(Text("• ") + Text(sentence))
    for doubt in found.doubts:
        console.print(Text(f"• {doubt}", "yellow"))
    console.print(Text(NOTE, "dim"))


def _groups(found: Comparison) -> Iterator[tuple[str, str, list[Line]]]:
    """The lines of each wake of each run."""
    for run, wake in dict.fromkeys((line.run, line.wake) for line in found.lines):
        yield run, wake, [line for line in found.lines if (line.run, line.wake) == (run, wake)]


def _in_a_line(cell: str) -> str:
    """A value with its interval, if it has one, in brackets."""
    value, line_end, interval = cell.partition("\n")
    return f"{value} ({interval})" if line_end else value


def _share(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return "–"
    return f"{measure.value:.1%}\n{100 * measure.low:.1f}–{100 * measure.high:.1f}"


def _seconds(measure: Measure) -> str:
    interval = "" if measure.low is None else f"\n{measure.low:.1f}–{measure.high:.1f}"
    return f"{_plain(measure.value)}{interval}"


def _plain(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value * 1000:.0f} ms" if abs(value) < 0.0995 else f"{value:.1f} s"
