"""`make examples`: what each example's results.csv says, from its recording in virtual time."""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.agreement_applications import APPLICATIONS, EXAMPLES, Example, played
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


def main(names: Sequence[str], pythons: dict[str, str]) -> int:
    for name in names:
        with tempfile.TemporaryDirectory(prefix="coldstart-examples-") as folder:
            rows = rows_of(APPLICATIONS[name], pythons.get(name), Path(folder))
        with (EXAMPLES / name / RESULTS).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(f"{name}: {len(rows)} trials")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="EXAMPLE", help=", ".join(APPLICATIONS))
    parser.add_argument("--prefect", metavar="PATH", help="the virtual environment that has Prefect's server")
    given = parser.parse_args()
    chosen = given.names or [name for name in APPLICATIONS if name != "prefect" or given.prefect]
    sys.exit(main(chosen, {"prefect": given.prefect} if given.prefect else {}))
