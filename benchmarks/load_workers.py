"""What one, two and four Locust workers can drive on this machine before they are late, against a trivial service."""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

import numpy as np

from benchmarks.load_lateness import answer
from benchmarks.report import write_table
from harness.library import load_scenario
from harness.model.errors import StackError
from harness.model.load_share import LoadShare, lead_s
from harness.model.outcomes import Outcome
from harness.model.timeline import Burst
from harness.processes.messages import BurstFinished, LoadReady, RequestEnded, StartBurst
from harness.processes.process import Child
from harness.stacks.driving import running_load

WORKERS = (None, 1, 2, 4)
ON_TIME_MS = 5.0
"""A rate is held when the median of three bursts' p99 lateness stays below."""
FIRST_RATE_PER_S = 1600
OVER_S = 3.0
HALVINGS = 3
LARGE = (10_000, 50_000, 100_000)
LARGE_WORKERS = (None, 2)
LARGE_OVER_S = 20.0
PATIENCE_S = 45.0
"""A burst that has not ended by then has piled up connections beyond what may be open, here or in the server."""
NEXT_WORD_S = 0.3


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of one burst: how late its requests started, when the last of them ended, and what was answered."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    took_s: float
    answered: float


@asynccontextmanager
async def ready(url: str, workers: int | None) -> AsyncIterator[Child]:
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as folder:
        log = Path(folder) / "locust.log"
        async with running_load(url, load_scenario("cold_burst"), log=log, workers=workers) as load:
            await load.next_record(LoadReady)
            yield load


async def drive(load: Child, burst: Burst, *, seed: int) -> Lateness:
    start_s = monotonic() + NEXT_WORD_S + lead_s(burst)
    await load.send(StartBurst(at_s=start_s, share=LoadShare(burst=burst, seed=seed)))
    late_ms, answered, took_s = [], 0, 0.0
    async for record in load.records():
        if isinstance(record, BurstFinished):
            break
        assert isinstance(record, RequestEnded)
        late_ms.append((record.row.start_s - record.row.arrival_s) * 1000)
        answered += record.row.outcome is Outcome.OK
        took_s = max(took_s, record.row.end_s - start_s)
    else:
        raise await load.died()
    assert len(late_ms) == burst.requests
    p50, p99, most = np.percentile(late_ms, (50, 99, 100))
    return Lateness(float(p50), float(p99), float(most), took_s, answered / burst.requests)


async def p99_ms(load: Child, rate: int) -> float:
    burst = Burst(requests=round(rate * OVER_S), over_s=OVER_S)
    p99 = median([(await drive(load, burst, seed=seed)).p99_ms for seed in range(3)])
    print(f"  {rate}/s: {p99:.1f} ms", flush=True)
    return p99


async def highest(load: Child) -> tuple[int, float, int, float]:
    """The highest rate that was held and its p99, the lowest that was not and its: doubled, then halved between."""
    held, held_ms = 0, 0.0
    lost, lost_ms = FIRST_RATE_PER_S, 0.0
    while (lost_ms := await p99_ms(load, lost)) < ON_TIME_MS:
        held, held_ms, lost = lost, lost_ms, lost * 2
    for _ in range(HALVINGS):
        middle = (held + lost) // 2
        found_ms = await p99_ms(load, middle)
        if found_ms < ON_TIME_MS:
            held, held_ms = middle, found_ms
        else:
            lost, lost_ms = middle, found_ms
    return held, held_ms, lost, lost_ms


def called(workers: int | None) -> str:
    return "one process" if workers is None else str(workers)


async def rates(url: str) -> None:
    """The table of the highest rates."""
    rows = []
    for workers in WORKERS:
        print(f"{called(workers)}:", flush=True)
        async with ready(url, workers) as load:
            held, held_ms, lost, lost_ms = await highest(load)
        each = f"{held / (workers or 1):,.0f}"
        rows.append([called(workers), f"{held:,}", each, f"{held_ms:.1f}", f"{lost_ms:.1f} at {lost:,}"])
    write_table("workers", ("workers", "arrivals / s", "each", "p99 [ms]", "p99 of the next rate tried [ms]"), rows)


async def large_bursts(url: str) -> None:
    """The table of the large bursts."""
    rows = []
    for requests in LARGE:
        for workers in LARGE_WORKERS:
            figures = await _large_burst(url, requests, workers)
            rows.append([f"{requests:,}", called(workers), *figures])
            print(rows[-1], flush=True)
    header = ("requests over 20 s", "workers", "p50 [ms]", "p99 [ms]", "max [ms]", "last answer [s]", "answered")
    write_table("large-bursts", header, rows)


async def _large_burst(url: str, requests: int, workers: int | None) -> list[str]:
    late: Lateness | None = None
    try:
        async with asyncio.timeout(PATIENCE_S), ready(url, workers) as load:
            late = await drive(load, Burst(requests=requests, over_s=LARGE_OVER_S), seed=1)
    except* (StackError, TimeoutError) as failed:
        print(repr(failed.exceptions[0]), flush=True)
    if late is None:
        return ["–", "–", "–", "–", "not driven"]
    figures = [f"{value:,.1f}" for value in (late.p50_ms, late.p99_ms, late.max_ms, late.took_s)]
    return [*figures, f"{late.answered:.2%}"]


TABLES = {"rates": rates, "large": large_bursts}


async def main(tables: list[str]) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    for table in tables or TABLES:
        await TABLES[table](f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="left out: both")
    asyncio.run(main(parser.parse_args().tables))
