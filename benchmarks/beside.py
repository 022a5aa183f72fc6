"""What trials beside each other in real time cost one another: `make coldstart`'s run with more and more at a time.

The same run in virtual time, where no trial disturbs another, says what the outcomes would be.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.report import write_table

RUN = (sys.executable, "-m", "harness", "run", "cold_burst", "--json")
AT_A_TIME = (4, 6, 8, 12, 15)


@dataclass(frozen=True, slots=True)
class Ran:
    """One run, and what it took."""

    document: dict[str, Any]
    seconds: float
    cpu_s: float


def ran(*options: str) -> Ran:
    """The whole command, with its own processes' CPU time; statuses 1 and 5 are results, too."""
    began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as out:
        done = subprocess.run([*RUN, *options, "--out", out], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 5), done.stderr
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime
    return Ran(json.loads(done.stdout), time.perf_counter() - began_s, cpu_s)


def counts(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The outcomes of each trial with a wake."""
    return {json.dumps([one["pool"], one["wake"]]): one["outcomes"] for one in document["trials"]}


def apart(one: dict[str, int], other: dict[str, int]) -> int:
    """How many requests ended otherwise."""
    return sum(abs(one.get(outcome, 0) - other.get(outcome, 0)) for outcome in one.keys() | other.keys()) // 2


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("--at-a-time", type=int, nargs="+", default=list(AT_A_TIME))
    given = parser.parse_args()
    expected = counts(ran("--stack", "simulated").document)
    cores = os.cpu_count() or 1
    rows = []
    for number in given.at_a_time:
        one = ran("--stack", "embedded", "--no-preview", "--parallel", f"{number}")
        trials = [*one.document["trials"], *one.document["controls"]]
        late_ms = max(trial["late_start_s"]["max"] or 0.0 for trial in trials) * 1e3
        released_ms = max(trial["wake_late_s"].get("last_released") or 0.0 for trial in one.document["trials"]) * 1e3
        found = counts(one.document)
        differences = [apart(found[cell], expected[cell]) for cell in expected]
        rows.append(
            [
                f"{number}", f"{one.seconds:.0f}", f"{one.cpu_s / one.seconds / cores:.0%}", f"{late_ms:.0f}",
                f"{released_ms:.0f}", f"{sum(bool(trial['doubts']) for trial in trials)} of {len(trials)}",
                f"{sum(differences)}, at most {max(differences)}",
            ]
        )  # fmt: skip
    header = (
        "trials at a time", "s", "of the cores", "latest start [ms]", "last release late [ms]", "doubted trials",
        "requests that end otherwise than in virtual time",
    )  # fmt: skip
    write_table("beside", header, rows)


if __name__ == "__main__":
    main()
