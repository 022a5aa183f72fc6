"""What sweeps and large trials in virtual time cost, as whole commands: by trials, and by requests of one trial."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import write_table

COMMAND = (sys.executable, "-m", "harness")
STORY = ("cold_burst", "--wake", "8", "--no-control", "--no-charts", "--json")
GRIDS = {100: ("5:14:1", "0:9:1"), 300: ("5:34:1", "0:9:1"), 1000: ("5:54:1", "0:19:1")}
"""Pool sizes and overflows of so many pools."""
REQUESTS = 200
OF_ONE_TRIAL = (1_000, 10_000, 100_000)
RATE_PER_S = 10


@dataclass(frozen=True, slots=True)
class Took:
    seconds: float
    cpu_s: float
    mb: float
    """The most memory of the command itself (MB of 2^20 bytes)."""


def took(*arguments: str) -> Took:
    """One whole command, with the CPU time of the processes that it waited for."""
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as out:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--out", out],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), f"{arguments}: {process.returncode}"
    return Took(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def row(what: str, unit: float, one: Took, first: Took, times: float) -> list[str]:
    """One line: what it cost, and for each `unit` beside the first line, which is so many times smaller."""
    return [
        what, f"{one.seconds:.1f}", f"{one.cpu_s:.1f}", f"{1e3 * one.cpu_s / unit:.2f}",
        f"{one.cpu_s / first.cpu_s / times:.2f}", f"{one.mb:.0f}",
    ]  # fmt: skip


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweeps", description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=list(GRIDS), choices=list(GRIDS))
    parser.add_argument("--requests", type=int, nargs="+", default=list(OF_ONE_TRIAL))
    given = parser.parse_args()
    header = ("", "s", "CPU s", "CPU ms a {}", "per {}, × the first line's", "MB at most")
    swept = {
        trials: took("sweep", *STORY, "--requests", f"{REQUESTS}", "--pool-size", sizes, "--max-overflow", overflows)
        for trials, (sizes, overflows) in GRIDS.items()
        if trials in given.trials
    }
    _write(
        "sweeps",
        header,
        "trial",
        {f"{trials:,} trials of {REQUESTS}": (trials, one) for trials, one in swept.items()},
    )
    played = {
        requests: took(
            "run", *STORY, "--stack", "simulated", "--pool", "10+5", "--requests", f"{requests}",
            "--over", f"{requests // RATE_PER_S}",
        )
        for requests in given.requests
    }  # fmt: skip
    _write("large-trials", header, "request", {f"one trial of {n:,}": (n, one) for n, one in played.items()})


def _write(name: str, header: Sequence[str], unit: str, measured: dict[str, tuple[int, Took]]) -> None:
    (least, first), *_ = measured.values()
    rows = [row(what, number, one, first, number / least) for what, (number, one) in measured.items()]
    write_table(name, [words.format(unit) for words in header], rows)


if __name__ == "__main__":
    main()
