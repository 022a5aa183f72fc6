"""The columns of a comparison's tables, as text: the same for the terminal, Markdown and the HTML report."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from harness.analysis.compare import Comparison, Line
from harness.analysis.sentences import answered_within, seconds
from harness.analysis.statistics import Measure
from harness.model.outcomes import FAILURES, Outcome
from harness.model.visible import in_one_line

Columns: TypeAlias = list[tuple[str, Callable[[Line], str]]]
"""A table's columns: the name, and the function that gives a line's cell. An interval is on a second line."""
TAG = re.compile(r"<(?=[A-Za-z/!?])")
LINK = re.compile(r"(?<!\\)\[")
BAR = re.compile(r"(?<!\\)\|")
NOTE = "95 % intervals: Wilson's for shares; for times whole trials resampled, from three seeds on."


def shares(lines: Sequence[Line]) -> Columns:
    """The columns of shares that fail and of the pool's cost; outcomes that never occurred are left out."""

    def of(outcome: Outcome, line: Line) -> str:
        return _share(line.rates[outcome])

    occurred = [outcome for outcome in FAILURES if any(line.rates[outcome].value for line in lines)]
    within = answered_within(line.patience_s for line in lines).replace(" within", "\nwithin")
    return [
        ("fails", lambda line: _share(line.failures)),
        *([(within, lambda line: "–" if line.answered is None else _share(line.answered))] if within else []),
        *((outcome.value.replace("_", "\n"), partial(of, outcome)) for outcome in occurred),
        ("alert\nlead", lambda line: seconds(line.alert_lead_s)),
        ("peak\nin use", lambda line: "–" if line.peak_connections is None else str(line.peak_connections)),
        ("connection\nseconds", lambda line: "–" if line.held_s is None else f"{line.held_s:.0f}"),
    ]


def times() -> Columns:
    """The columns of latencies and of the time until recovery."""
    return [
        ("p50", lambda line: seconds(line.latency_s["p50"].value)),
        ("p95", lambda line: _time(line.latency_s["p95"])),
        ("p99", lambda line: _time(line.latency_s["p99"])),
        ("max", lambda line: seconds(line.latency_s["max"].value)),
        ("queue\np95", lambda line: _time(line.checkout_p95_s)),
        ("first ok\nafter", lambda line: seconds(line.first_ok_s)),
        ("recovered\nafter", lambda line: seconds(line.recovered_s)),
    ]


def groups(found: Comparison) -> Iterator[tuple[str, str, list[Line]]]:
    """The lines of each wake of each run: run, wake, lines."""
    for run, wake in dict.fromkeys((line.run, line.wake) for line in found.lines):
        yield run, wake, [line for line in found.lines if (line.run, line.wake) == (run, wake)]


def in_a_line(cell: str) -> str:
    """A cell on one line: the value, and its interval, if any, in brackets."""
    value, line_end, interval = cell.partition("\n")
    return f"{value} ({interval})" if line_end else value


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; whatever is in a cell, it is one cell of one line."""
    written = ([BAR.sub(r"\\|", literal(cell)) for cell in row] for row in (header, ["---"] * len(header), *rows))
    return "\n".join(f"| {' | '.join(row)} |" for row in written)


def literal(text: str) -> str:
    """A sentence or a cell in Markdown, in which no name or message is HTML, a link, an image or a line of its own.

    What our own sentences are written with stays: code between backticks, and stars.
    """
    return LINK.sub(r"\\[", TAG.sub("&lt;", in_one_line(text)))


def _share(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return "–"
    return f"{measure.value:.1%}\n{100 * measure.low:.1f}–{100 * measure.high:.1f}"


def _time(measure: Measure) -> str:
    interval = "" if measure.low is None else f"\n{measure.low:.1f}–{measure.high:.1f}"
    return f"{seconds(measure.value)}{interval}"
