"""`python -m benchmarks.examples`: what each example's results.csv says, from its recording in virtual time.

With `--check` (`make example-prefect`) nothing is written: what is played is compared with what is there.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from rich.console import Console

from benchmarks.agreement_applications import APPLICATIONS, EXAMPLES, Example, played
from harness.cli.table import Column, Row, Sheet
from harness.model.summary import TrialSummary

COLUMNS = (
    "pool",
    "connection_timeout_s",
    "wake_s",
    "requests",
    "ok",
    "pool_timeout",
    "connect_timeout",
    "p95_s",
    "max_s",
)
RESULTS = "results.csv"
SHOWN = ("requests", "ok", "pool_timeout", "connect_timeout", "p95_s", "max_s")


def rows_of(example: Example, python: str | None, out: Path) -> list[dict[str, str]]:
    """A row for each pool and connection timeout, with the wake and the first seed."""
    os.environ.update(example.environment)
    return [_row(one) for one in played(example, python, seeds=1, stack="simulated", parallel=1, out=out)]


def _row(summary: TrialSummary) -> dict[str, str]:
    pool = summary.trial.pool
    numbers = {
        "pool": pool.short,
        "connection_timeout_s": f"{pool.connection_timeout_s:g}",
        "wake_s": f"{summary.trial.wake_latency_s:g}",
        "requests": str(summary.requests),
        **{name: str(summary.outcomes.get(name, 0)) for name in ("ok", "pool_timeout", "connect_timeout")},  # type: ignore[call-overload]
        "p95_s": f"{summary.latency_s['p95']:.2f}",
        "max_s": f"{summary.latency_s['max']:.2f}",
    }
    return {name: numbers[name] for name in COLUMNS}


def written(name: str) -> list[dict[str, str]]:
    """The rows of an example's results.csv."""
    with (EXAMPLES / name / RESULTS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def apart(played: Mapping[str, str], expected: Mapping[str, str] | None) -> str:
    """What of a trial is not as its row has it, in words; empty: nothing."""
    if expected is None:
        return "has no row"
    return ", ".join(f"{name} is {expected[name]} there" for name in COLUMNS if played[name] != expected[name])


def check(name: str, rows: Sequence[Mapping[str, str]]) -> int:
    """Print what was played; how many trials are not as results.csv has them."""
    expected = written(name)
    found = [apart(row, other) for row, other in zip_longest(rows, expected[: len(rows)])]
    parts = [
        Row(
            f"{row['pool']} connection_timeout={row['connection_timeout_s']}",
            [*(row[one] for one in SHOWN), text or "yes"],
        )
        for row, text in zip(rows, found, strict=True)
    ]
    columns = [Column(one.removesuffix("_s").replace("_", "\n")) for one in SHOWN]
    Console().print(Sheet(f"{name}, wake 8 s", [*columns, Column(f"as in\n{RESULTS}", wraps=True)], parts))
    others = sum(map(bool, found)) + max(0, len(expected) - len(rows))
    print(f"{len(rows)} trials in virtual time, {others or 'none'} other than examples/{name}/{RESULTS} has them")
    return others


def main(names: Sequence[str], pythons: dict[str, str], *, only_check: bool) -> int:
    others = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="coldstart-examples-") as folder:
            rows = rows_of(APPLICATIONS[name], pythons.get(name), Path(folder))
        if only_check:
            others += check(name, rows)
            continue
        with (EXAMPLES / name / RESULTS).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(f"{name}: {len(rows)} trials")
    return 1 if others else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="EXAMPLE", help=", ".join(APPLICATIONS))
    parser.add_argument("--prefect", metavar="PATH", help="the virtual environment that has Prefect's server")
    parser.add_argument("--check", action="store_true", help="compare with results.csv, and write nothing")
    given = parser.parse_args()
    chosen = given.names or [name for name in APPLICATIONS if name != "prefect" or given.prefect]
    sys.exit(main(chosen, {"prefect": given.prefect} if given.prefect else {}, only_check=given.check))
