"""Minutes of connection churn through our proxy: does it live, and does it give back every descriptor?"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from time import monotonic

import psutil

from benchmarks.pgbench import Case, initialise, transactions_per_s
from benchmarks.report import write_table
from benchmarks.ways import Ways, ways

CASE = Case(16, reconnect=True)
SAMPLE_S = 0.5
SETTLE_S = 2.0
HEADER = ("minutes", "connections", "descriptors before / most / after", "MiB before / most / after")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the proxy holds at one moment."""

    descriptors: int
    mib: float

    @classmethod
    def of(cls, proxy: psutil.Process) -> "Sample":
        """Raises `psutil.Error` when the process is gone."""
        return cls(proxy.num_fds(), proxy.memory_info().rss / 2**20)


async def main(minutes: float) -> int:
    async with ways() as reached:
        await asyncio.to_thread(initialise, reached.postgres)
        proxy = psutil.Process(reached.ours_pid)
        # The first connections fill what is kept on purpose.
        await asyncio.to_thread(_churn, reached, 2)
        before = await _settled(proxy)
        churning = asyncio.create_task(asyncio.to_thread(_churn, reached, 60 * minutes))
        during = await _sample_until(churning, proxy)
        tps = await churning
        after = await _settled(proxy)
    samples = [before, *during, after]
    descriptors = (before.descriptors, max(one.descriptors for one in samples), after.descriptors)
    mib = (before.mib, max(one.mib for one in samples), after.mib)
    row = [
        f"{minutes:g}", f"{tps * 60 * minutes:,.0f}", " / ".join(map(str, descriptors)),
        " / ".join(f"{value:.1f}" for value in mib),
    ]  # fmt: skip
    write_table("churn", HEADER, [row])
    return 0 if after.descriptors <= before.descriptors else 1


def _churn(reached: Ways, seconds: float) -> float:
    return transactions_per_s(reached.postgres, reached.addresses["ours"], CASE, seconds=seconds)


async def _sample_until(done: asyncio.Task[float], proxy: psutil.Process) -> list[Sample]:
    found = []
    while not done.done():
        found.append(Sample.of(proxy))
        await asyncio.wait([done], timeout=SAMPLE_S)
    return found


async def _settled(proxy: psutil.Process) -> Sample:
    """The sample with the fewest descriptors in a while: the last connections are closed a little after pgbench ends,
    and counting them before the churn would hide as many that leak in it."""
    deadline_s = monotonic() + SETTLE_S
    found = [Sample.of(proxy)]
    while monotonic() < deadline_s:
        await asyncio.sleep(0.05)
        found.append(Sample.of(proxy))
    return min(found, key=lambda one: one.descriptors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    sys.exit(asyncio.run(main(parser.parse_args().minutes)))
