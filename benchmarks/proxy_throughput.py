"""Transactions per second direct, through the real Toxiproxy and through ours, in rotated rounds."""

import argparse
import asyncio
from statistics import median

from benchmarks.pgbench import Case, initialise, transactions_per_s
from benchmarks.report import write_table
from benchmarks.ways import Ways, ways

CASES = (Case(1), Case(8), Case(32), Case(8, reconnect=True))


async def main(seconds: int, rounds: int) -> None:
    async with ways() as reached:
        await asyncio.to_thread(initialise, reached.postgres)
        rows = [await asyncio.to_thread(_measure, reached, case, seconds, rounds) for case in CASES]
    write_table("throughput", ("case", "direct", "real Toxiproxy", "ours", "ours / real, median of the rounds"), rows)


def _measure(reached: Ways, case: Case, seconds: int, rounds: int) -> list[str]:
    names = list(reached.addresses)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        # Each round begins with another one: what changes over time falls on all of them.
        for name in names[number % 3 :] + names[: number % 3]:
            tps = transactions_per_s(reached.postgres, reached.addresses[name], case, seconds=seconds)
            found[name].append(tps)
            print(f"{case}, {name}: {tps:,.0f}/s", flush=True)
    middle = {name: median(values) for name, values in found.items()}
    # The ratio of runs made beside each other, round by round: a change of the machine's load falls on both.
    ratios = [ours / real for ours, real in zip(found["ours"], found["real"], strict=True)]
    ratio = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return [str(case), *(f"{middle[name]:,.0f}" for name in names), ratio]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="a run")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.seconds, given.rounds))
