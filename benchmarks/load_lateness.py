"""How late the load generator starts a request: its own error, at rates beyond what a cold start needs."""

import asyncio
import tempfile
from pathlib import Path
from time import monotonic

import numpy as np

from benchmarks.report import write_table
from harness.library import load_scenario
from harness.model.load_share import LoadShare
from harness.model.outcomes import Outcome
from harness.model.timeline import Burst
from harness.processes.messages import BurstFinished, LoadReady, RequestEnded, StartBurst
from harness.stacks.driving import running_load

RATES_PER_S = (50, 200, 800)
OVER_S = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The quickest HTTP server there is, so that the generator is what is measured."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as folder:
        async with running_load(url, load_scenario("cold_burst"), log=Path(folder) / "locust.log") as load:
            await load.next_record(LoadReady)
            rows = []
            for rate in RATES_PER_S:
                burst = Burst(requests=round(rate * OVER_S), over_s=OVER_S)
                await load.send(StartBurst(at_s=monotonic() + 0.5, share=LoadShare(burst=burst, seed=rate)))
                late_ms, answered = [], 0
                async for record in load.records():
                    if isinstance(record, BurstFinished):
                        break
                    assert isinstance(record, RequestEnded)
                    late_ms.append((record.row.start_s - record.row.arrival_s) * 1000)
                    answered += record.row.outcome is Outcome.OK
                else:
                    raise await load.died()
                quantiles = [f"{value:.1f}" for value in np.percentile(late_ms, (50, 99, 100))]
                rows.append([f"{rate}", str(burst.requests), *quantiles, f"{answered / burst.requests:.0%}"])
    server.close()
    write_table("lateness", ("arrivals / s", "requests", "p50 [ms]", "p99 [ms]", "max [ms]", "answered"), rows)


if __name__ == "__main__":
    asyncio.run(main())
