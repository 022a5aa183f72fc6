"""How long whole commands take that compute little: what they import is most of it.

Beside each of them, in the same round, Python starts and imports click, which is the least that a command can do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.report import write_table

LEAST = "Python, which imports click"
RUN = ("run", "cold_burst", "--stack", "simulated", "--json")
CASES = {
    LEAST: (sys.executable, "-c", "import click"),
    "coldstart --help": (sys.executable, "-m", "harness", "--help"),
    "coldstart run cold_burst --stack simulated --json: one trial": (
        sys.executable, "-m", "harness", *RUN, "--pool", "5+0", "--wake", "8", "--no-control",
    ),
    "the same with its 15 trials": (sys.executable, "-m", "harness", *RUN),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Took:
    seconds: float
    cpu_s: float
    mb: float
    """The most memory that it had, without its own processes' (MB of 2^20 bytes)."""


def took(argv: Sequence[str]) -> Took:
    """One whole command, with its own processes' CPU time."""
    began_s = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), f"{argv}: {process.returncode}"
    return Took(time.perf_counter() - began_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as results:
        cases = {name: (*argv, *(("--out", results) if "run" in argv else ())) for name, argv in CASES.items()}
        # Once before, for the files to be in memory and compiled.
        measured = [{name: took(argv) for name, argv in cases.items()} for _ in range(rounds + 1)][1:]
    rows = []
    for name in CASES:
        of_it = [one[name] for one in measured]
        ratio = median(one[name].seconds / one[LEAST].seconds for one in measured)
        rows.append([
            name,
            f"{min(one.seconds for one in of_it):.2f}",
            f"{median(one.seconds for one in of_it):.2f}",
            f"{ratio:.1f}",
            f"{median(one.cpu_s for one in of_it):.2f}",
            f"{median(one.mb for one in of_it):.0f}",
        ])  # fmt: skip
    write_table("starting", ("command", "s, least", "s, median", "× the least", "CPU s, median", "MB"), rows)


if __name__ == "__main__":
    main()
