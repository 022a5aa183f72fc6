"""An hour of churn, storms and wakes on the proxy in front of a real PostgreSQL: does anything of it grow?

Work and rest take turns. At rest nobody but the probes is connected: whatever the proxy still holds then it has kept.
"""

import argparse
import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx

from benchmarks.report import RELIABILITY_PAGE, write_table
from benchmarks.soak_load import Done, Load
from benchmarks.trend import Trend, Verdict
from harness.model.errors import StackError
from harness.postgres import PostgresServer, embedded_postgres

BUILT = Path(__file__).parent.parent / ".tools" / "toxiproxy-server"
SETTLE_S = 2.0
"""The last connections are closed a little after their clients have left."""
PAUSE_S = 0.1
ROUND_TRIPS = 1000
FILLING_H = 5 / 60
"""What is made once and kept is made in the first minutes: they are not looked at, or a third of a shorter soak."""
START_S = 20.0

HEADER = ("at rest", "first", "last", "most, at work", "growth an hour (95 %)", "allowed", "")
WORK_HEADER = (
    "minutes",
    "rounds",
    "answered",
    "abandoned",
    "ended by toxics",
    "wakes",
    "toxics",
    "unexpected",
    "log lines",
)


@dataclass(frozen=True, slots=True)
class Held:
    """What the proxy holds at one moment, as its /metrics say, and PostgreSQL beside it."""

    descriptors: float
    mib: float
    tasks: float
    backends: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One rest."""

    at_h: float
    """Hours since the soak began."""
    held: Held
    round_trip_ms: dict[str, float]
    """The median of a way's round trips."""
    most: Held
    """The most of each in the work before it."""

    @property
    def ratio(self) -> float:
        """Round trips through ours beside direct ones, made in turn: what slows the machine down falls on both."""
        return self.round_trip_ms["ours"] / self.round_trip_ms["direct"]


@dataclass(frozen=True, slots=True)
class Soaked:
    """All of a soak."""

    samples: list[Sample]
    done: Done
    log: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that must not grow, and by how much it may in an hour."""

    name: str
    of: Callable[[Sample], float]
    allowed: float | None
    """None: it is shown, and not judged."""
    most: Callable[[Held], float] | None = None

    def trend(self, samples: Sequence[Sample]) -> Trend | None:
        filled_h = min(FILLING_H, samples[-1].at_h / 3)
        late = [sample for sample in samples if sample.at_h > filled_h]
        return Trend.of([sample.at_h for sample in late], [self.of(sample) for sample in late])

    def verdict(self, samples: Sequence[Sample]) -> Verdict:
        trend = self.trend(samples)
        return Verdict.UNKNOWN if trend is None or self.allowed is None else trend.within(self.allowed)

    def row(self, samples: Sequence[Sample]) -> list[str]:
        trend = self.trend(samples)
        grows = "–" if trend is None else f"{trend.slope:+.2f} ({trend.low:+.2f} to {trend.high:+.2f})"
        most = "" if self.most is None else f"{max(self.most(sample.most) for sample in samples):.4g}"
        ends = (f"{self.of(sample):.4g}" for sample in (samples[0], samples[-1]))
        judged = ("", "") if self.allowed is None else (f"±{self.allowed:g}", str(self.verdict(samples)))
        return [self.name, *ends, most, grows, *judged]


def measures(ways: Sequence[str]) -> list[Measure]:
    return [
        Measure("file descriptors", lambda at: at.held.descriptors, 1, lambda held: held.descriptors),
        Measure("memory (RSS) [MiB]", lambda at: at.held.mib, 10, lambda held: held.mib),
        Measure("tasks", lambda at: at.held.tasks, 1, lambda held: held.tasks),
        Measure("PostgreSQL's backends", lambda at: at.held.backends, 1, lambda held: held.backends),
        Measure("round trip, ours / direct", lambda at: at.ratio, 0.1),
        *(Measure(f"round trip, {way} [ms]", _round_trip(way), None) for way in ways),
    ]


def _round_trip(way: str) -> Callable[[Sample], float]:
    return lambda at: at.round_trip_ms[way]


async def soak(minutes: float, every_s: float, *, progress: Callable[[str], None] = print) -> Soaked:
    """Work and rest in turns. Raises `StackError` when the proxy dies."""
    with tempfile.TemporaryDirectory(prefix="coldstart-soak-") as name:
        folder = Path(name)
        log = folder / "proxy.log"
        async with AsyncExitStack() as stack:
            postgres, _ = await stack.enter_async_context(embedded_postgres(log=folder / "postgres.log"))
            command = [sys.executable, "-m", "harness", "toxiproxy"]
            api, process = await stack.enter_async_context(_server("toxiproxy", command, log))
            ports = {"direct": postgres.port, "ours": await _probed(api, postgres)}
            if real := _real_toxiproxy():
                theirs, _ = await stack.enter_async_context(_server("the real toxiproxy", [real], folder / "real.log"))
                ports["the real Toxiproxy"] = await _probed(theirs, postgres)
            ways = {way: await _connected(postgres, port, stack) for way, port in ports.items()}
            load = await Load.on(api, postgres)
            samples: list[Sample] = []
            began_s = time.monotonic()
            while not samples or samples[-1].at_h * 60 < minutes:
                most = await _work(load, api, ways["direct"], every_s)
                if process.returncode is not None:
                    raise StackError("toxiproxy", f"ended with status {process.returncode}: {log.read_text()[-500:]}")
                held = await _settled(api, ways["direct"])
                samples.append(Sample((time.monotonic() - began_s) / 3600, held, await _round_trips_ms(ways), most))
                progress(_line(samples[-1], load.done))
        return Soaked(samples, load.done, log.read_text())


async def _work(load: Load, api: httpx.AsyncClient, direct: "asyncpg.Connection[Any]", seconds: float) -> Held:
    working = asyncio.create_task(load.work(seconds))
    seen = [await _held(api, direct)]
    while not working.done():
        await asyncio.wait([working], timeout=1.0)
        seen.append(await _held(api, direct))
    await working
    return _each(max, seen)


async def _settled(api: httpx.AsyncClient, direct: "asyncpg.Connection[Any]") -> Held:
    """The fewest of each in a while."""
    until_s = time.monotonic() + SETTLE_S
    seen = [await _held(api, direct)]
    while time.monotonic() < until_s:
        await asyncio.sleep(PAUSE_S)
        seen.append(await _held(api, direct))
    return _each(min, seen)


def _each(choose: Callable[[list[float]], float], seen: Sequence[Held]) -> Held:
    names = ("descriptors", "mib", "tasks", "backends")
    return Held(*(choose([getattr(held, name) for held in seen]) for name in names))


async def _held(api: httpx.AsyncClient, direct: "asyncpg.Connection[Any]") -> Held:
    text = (await api.get("/metrics")).raise_for_status().text
    values = {
        name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines()) if name[0] != "#"
    }
    backends = await direct.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    mib = values["process_resident_memory_bytes"] / 2**20
    return Held(values["process_open_fds"], mib, values["coldstart_tasks"], float(backends))


async def _round_trips_ms(ways: "dict[str, asyncpg.Connection[Any]]") -> dict[str, float]:
    """The median of each way's round trips, one of each way at a time."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUND_TRIPS):
        for way, connection in ways.items():
            began_s = time.perf_counter()
            await connection.fetchval("SELECT 1")
            found[way].append(1000 * (time.perf_counter() - began_s))
    return {way: median(values) for way, values in found.items()}


def _real_toxiproxy() -> str | None:
    return shutil.which("toxiproxy-server") or (str(BUILT) if BUILT.is_file() else None)


@asynccontextmanager
async def _server(
    part: str, command: list[str], log: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.subprocess.Process]]:
    """A Toxiproxy server as a user starts it. Raises `StackError` when it does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    argv = [*command, "--host" if "-m" in command else "-host", "127.0.0.1", "--port" if "-m" in command else "-port"]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*argv, str(port), stdout=subprocess.DEVNULL, stderr=errors)
    try:
        # One connection to the API is kept: the proxy holds a descriptor for each that its client keeps.
        limits, url = httpx.Limits(max_keepalive_connections=1), f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, limits=limits) as api:
            await _answers(part, api)
            yield api, process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(part: str, api: httpx.AsyncClient) -> None:
    until_s = time.monotonic() + START_S
    while True:
        try:
            (await api.get("/version")).raise_for_status()
        except httpx.HTTPError as error:
            if time.monotonic() > until_s:
                raise StackError(part, f"does not answer: {error}") from error
            await asyncio.sleep(PAUSE_S)
        else:
            return


async def _probed(api: httpx.AsyncClient, postgres: PostgresServer) -> int:
    """The port of a proxy that nothing is done to."""
    proxy = {"name": "probe", "upstream": f"{postgres.host}:{postgres.port}", "listen": "127.0.0.1:0"}
    made = (await api.post("/proxies", json=proxy)).raise_for_status().json()
    return int(made["listen"].rpartition(":")[2])


async def _connected(postgres: PostgresServer, port: int, stack: AsyncExitStack) -> "asyncpg.Connection[Any]":
    connection = await asyncpg.connect(postgres.dsn_at("127.0.0.1", port), ssl=False)
    stack.push_async_callback(connection.close)
    return connection


def _line(sample: Sample, done: Done) -> str:
    held = sample.held
    return (
        f"{sample.at_h * 60:5.1f} min  {held.descriptors:.0f} descriptors  {held.mib:.1f} MiB  {held.tasks:.0f} tasks  "
        f"{held.backends:.0f} backends  {sample.round_trip_ms['ours']:.3f} ms  "
        f"{done.connections} answered, {done.abandoned} abandoned, {len(done.unexpected)} unexpected"
    )


def status(soaked: Soaked) -> int:
    """0: flat; 1: something grows or falls, or went wrong; 5: it can't be said."""
    verdicts = {one.verdict(soaked.samples) for one in measures(()) if one.allowed is not None}
    if soaked.done.unexpected or soaked.log or verdicts & {Verdict.GROWS, Verdict.FALLS}:
        return 1
    return 5 if Verdict.UNKNOWN in verdicts else 0


def main(minutes: float, every_s: float) -> int:
    try:
        soaked = asyncio.run(soak(minutes, every_s, progress=lambda line: print(line, flush=True)))
    except StackError as error:
        print(error, file=sys.stderr)
        return 3
    done, samples = soaked.done, soaked.samples
    for line in (*done.unexpected[:20], *soaked.log.splitlines()[:20]):
        print(line, file=sys.stderr)
    counts = (len(samples), done.connections, done.abandoned, done.ended, done.wakes, done.toxics)
    failures = (len(done.unexpected), len(soaked.log.splitlines()))
    work = [f"{samples[-1].at_h * 60:.0f}", *(f"{count:,}" for count in (*counts, *failures))]
    write_table("soak-work", WORK_HEADER, [work], page=RELIABILITY_PAGE)
    rows = [one.row(samples) for one in measures(list(samples[0].round_trip_ms))]
    write_table("soak", HEADER, rows, page=RELIABILITY_PAGE)
    return status(soaked)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--every", type=float, default=20.0, help="seconds of work between two rests (default: 20)")
    given = parser.parse_args()
    sys.exit(main(given.minutes, given.every))
