"""What sweeps and large trials in virtual time cost, as whole commands: by trials, and by requests of one trial."""

import argparse
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.report import write_table
from benchmarks.starting import Took, took

COMMAND = (sys.executable, "-m", "harness")
STORY = ("cold_burst", "--wake", "8", "--no-control", "--no-charts", "--json")
GRIDS = {100: ("5:14:1", "0:9:1"), 300: ("5:34:1", "0:9:1"), 1000: ("5:54:1", "0:19:1")}
"""Pool sizes and overflows of so many pools."""
REQUESTS = 200
OF_ONE_TRIAL = (1_000, 10_000, 100_000)
RATE_PER_S = 10


def played(*arguments: str) -> Took:
    """One whole command of coldstart."""
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as out:
        return took([*COMMAND, *arguments, "--out", out])


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
        trials: played("sweep", *STORY, "--requests", f"{REQUESTS}", "--pool-size", sizes, "--max-overflow", overflows)
        for trials, (sizes, overflows) in GRIDS.items()
        if trials in given.trials
    }
    _write(
        "sweeps",
        header,
        "trial",
        {f"{trials:,} trials of {REQUESTS}": (trials, one) for trials, one in swept.items()},
    )
    large = {
        requests: played(
            "run", *STORY, "--stack", "simulated", "--pool", "10+5", "--requests", f"{requests}",
            "--over", f"{requests // RATE_PER_S}",
        )
        for requests in given.requests
    }  # fmt: skip
    _write("large-trials", header, "request", {f"one trial of {n:,}": (n, one) for n, one in large.items()})


def _write(name: str, header: Sequence[str], unit: str, measured: dict[str, tuple[int, Took]]) -> None:
    (least, first), *_ = measured.values()
    rows = [row(what, number, one, first, number / least) for what, (number, one) in measured.items()]
    write_table(name, [words.format(unit) for words in header], rows)


if __name__ == "__main__":
    main()
