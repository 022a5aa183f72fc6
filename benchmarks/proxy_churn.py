"""Minutes of connection churn through our proxy: does it live, and does it give back every descriptor?"""

import argparse
import asyncio
import sys

import psutil

from benchmarks.pgbench import Case, initialise, transactions_per_s
from benchmarks.report import write_table
from benchmarks.ways import ways

CASE = Case(16, reconnect=True)


async def main(minutes: float) -> int:
    async with ways() as reached:
        await asyncio.to_thread(initialise, reached.postgres)
        proxy = psutil.Process(reached.ours_pid)
        # The first connections fill what is kept on purpose.
        await asyncio.to_thread(transactions_per_s, reached.postgres, reached.addresses["ours"], CASE, seconds=2)
        before = proxy.num_fds(), proxy.memory_info().rss
        tps = await asyncio.to_thread(
            transactions_per_s, reached.postgres, reached.addresses["ours"], CASE, seconds=60 * minutes
        )
        await asyncio.sleep(1)
        alive = proxy.is_running()
        after = (proxy.num_fds(), proxy.memory_info().rss) if alive else (0, 0)
    row = [
        f"{minutes:g}", f"{tps * 60 * minutes:,.0f}", f"{before[0]} / {after[0]}",
        f"{before[1] / 2**20:.1f} / {after[1] / 2**20:.1f}", "yes" if alive else "no",
    ]  # fmt: skip
    write_table("churn", ("minutes", "connections", "descriptors before / after", "MiB before / after", "alive"), [row])
    return 0 if alive and after[0] <= before[0] else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    sys.exit(asyncio.run(main(parser.parse_args().minutes)))
