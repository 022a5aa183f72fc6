"""Transactions per second direct, through the real Toxiproxy and through ours, in rotated rounds, and their cost."""

import argparse
import asyncio
from collections.abc import Iterable
from statistics import median

import psutil

from benchmarks.pgbench import Case, initialise, transactions_per_s
from benchmarks.report import write_table
from benchmarks.ways import Ways, ways

CASES = (Case(1), Case(8), Case(32), Case(8, reconnect=True))
HEADER = (
    "case", "direct", "real Toxiproxy", "ours", "ours / real, median of the rounds", "a transaction takes longer [ms]",
    "CPU a transaction, real / ours [µs]",
)  # fmt: skip


async def main(seconds: int, rounds: int) -> None:
    async with ways() as reached:
        await asyncio.to_thread(initialise, reached.postgres)
        rows = [await asyncio.to_thread(_measure, reached, case, seconds, rounds) for case in CASES]
    write_table("throughput", HEADER, rows)


def _measure(reached: Ways, case: Case, seconds: int, rounds: int) -> list[str]:
    names = list(reached.addresses)
    found: dict[str, list[float]] = {name: [] for name in names}
    cpu_us: dict[str, list[float]] = {name: [] for name in reached.pids}
    for number in range(rounds):
        # Each round begins with another one: what changes over time falls on all of them.
        for name in names[number % 3 :] + names[: number % 3]:
            before_s = _cpu_s(reached, name)
            tps = transactions_per_s(reached.postgres, reached.addresses[name], case, seconds=seconds)
            found[name].append(tps)
            if name in cpu_us:
                cpu_us[name].append((_cpu_s(reached, name) - before_s) / (tps * seconds) * 1e6)
            print(f"{case}, {name}: {tps:,.0f}/s", flush=True)
    middle = {name: median(values) for name, values in found.items()}
    # The ratio of runs made beside each other, round by round: a change of the machine's load falls on both.
    ratios = [ours / real for ours, real in zip(found["ours"], found["real"], strict=True)]
    longer_ms = [
        1000 * case.clients * (1 / ours - 1 / direct)
        for ours, direct in zip(found["ours"], found["direct"], strict=True)
    ]
    cpu = " / ".join(f"{median(cpu_us[name]):,.0f}" for name in ("real", "ours"))
    return [str(case), *(f"{middle[name]:,.0f}" for name in names), _spread(ratios, 2), _spread(longer_ms, 3), cpu]


def _cpu_s(reached: Ways, name: str) -> float:
    """The CPU time that a proxy's process has had, in the kernel too."""
    pid = reached.pids.get(name)
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _spread(values: Iterable[float], digits: int) -> str:
    found = sorted(values)
    return f"{median(found):.{digits}f} ({found[0]:.{digits}f} to {found[-1]:.{digits}f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="a run")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.seconds, given.rounds))
