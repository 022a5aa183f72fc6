"""How long a sweep takes on the workers of a Dask scheduler, beside the same in as many processes of this machine.

The workers are processes of this machine too, so this is the price of the way there and back, and says nothing of what
another machine brings.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from statistics import median

from benchmarks.report import write_table

WORKERS = (1, 2)
PLACES = {"processes": "process", "workers": "worker"}
"""Of many, and of one."""


@contextmanager
def scheduler(workers: int) -> Iterator[str]:
    """The address of one with so many workers."""
    words = [sys.executable, "-m", "benchmarks.local_cluster", str(workers)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def took_s(grid: list[str], *where: str) -> float:
    """One whole command."""
    with tempfile.TemporaryDirectory() as results:
        began_s = time.perf_counter()
        words = [sys.executable, "-m", "harness", "sweep", *grid, *where, "--no-charts", "--json", "--out", results]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began_s


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pools", type=int, default=60, help="Trials are three times as many.")
    parser.add_argument("--requests", type=int, default=200)
    given = parser.parse_args()
    grid = ["cold_burst", "--pool-size", f"1:{given.pools}:1", "--max-overflow", "0", "--wake", "8:12:4",
            "--requests", str(given.requests)]  # fmt: skip
    trials = 3 * given.pools
    with scheduler(1) as one, scheduler(2) as two:
        addresses = dict(zip(WORKERS, (one, two), strict=True))
        measured: list[dict[tuple[str, int], float]] = []
        for number in range(given.rounds):
            cases = list(product(PLACES, WORKERS))
            # In another order each round: what else the machine does meets all of them.
            turned = cases[number % len(cases) :] + cases[: number % len(cases)]
            measured.append({
                (place, count): took_s(
                    grid, *(["--parallel", str(count)] if place == "processes" else ["--scheduler", addresses[count]])
                )
                for place, count in turned
            })  # fmt: skip
    rows = []
    for count, place in product(WORKERS, PLACES):
        seconds = [one[place, count] for one in measured]
        ratios = [one[place, count] / one["processes", count] for one in measured]
        rows.append([
            f"{count} {place if count > 1 else PLACES[place]}",
            f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})",
            f"{trials / median(seconds):.1f}",
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if place == "workers" else "1",
        ])  # fmt: skip
    header = (f"{trials} trials by", "s, median of the rounds", "trials / s", "× as many processes")
    write_table("cluster", header, rows)


if __name__ == "__main__":
    main()
