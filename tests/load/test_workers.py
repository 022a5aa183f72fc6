"""A burst shared among Locust workers: together they are the single process, and none dies unnoticed."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.model.errors import StackError
from harness.model.outcomes import Outcome
from harness.model.timeline import Burst
from tests.load.driven import Server, burst, driven, listening

pytestmark = pytest.mark.anyio

LOCUSTFILE = Path(__file__).parent.parent.parent / "scenarios" / "locustfile.py"
SMALL = '''
"""A scenario of the test's own; only the master is given it."""
from harness.model.scenario import Scenario
from harness.model.timeline import Burst
from harness.model.wake import profile
SCENARIO = Scenario(name="small", wake=profile("neon"), pools=("1+0",), timeline=(Burst(requests=60, over_s=1),))
'''


def workers_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "--worker" in child.cmdline()]


def asked_by(burst: Burst, seed: int) -> list[bytes]:
    """The request lines of the burst, sorted."""
    found = []
    for arrival in burst.schedule(seed):
        route = arrival.request
        found.append(f"{route.method} {route.url(arrival.key, hold_s=burst.mix.hold_s)} HTTP/1.1".encode())
    return sorted(found)


async def test_two_workers_drive_exactly_what_one_process_drives(tmp_path: Path) -> None:
    bursts = [(Burst(requests=61, over_s=1.0), 1), (Burst(requests=20, over_s=0.2, arrivals="even"), 2)]
    found: list[list[Any]] = []
    for workers in (None, 2):
        server = Server(delay_s=0.0)
        driven_rows = []
        async with driven(server, tmp_path, workers=workers) as load:
            for one, seed in bursts:
                rows = await burst(load, one, seed=seed)
                begins_s = rows[0].arrival_s - one.schedule(seed)[0].at_s
                arrivals = [(row.number, row.request, round(row.arrival_s - begins_s, 9)) for row in rows]
                planned = [(a.number, a.request, round(a.at_s, 9)) for a in one.schedule(seed)]
                assert arrivals == planned
                driven_rows.append(arrivals)
                assert all(row.outcome is Outcome.OK and row.arrival_s <= row.start_s for row in rows)
        assert sorted(server.asked) == sorted(line for one, seed in bursts for line in asked_by(one, seed))
        found.append(driven_rows)
    assert found[0] == found[1]


async def test_each_worker_drives_its_own_share(tmp_path: Path) -> None:
    async with driven(Server(delay_s=None), tmp_path, client_timeout_s=3.0, workers=2) as load:
        driving = asyncio.create_task(burst(load, Burst(requests=21, over_s=0.0, arrivals="at_once")))
        shares: list[int] = []
        while sum(shares) < 21:
            await asyncio.sleep(0.05)
            assert not driving.done()
            shares = sorted(_open_connections(worker) for worker in workers_of(os.getpid()))
        assert shares == [10, 11]
        assert [row.outcome for row in await driving] == [Outcome.CLIENT_TIMEOUT] * 21


def _open_connections(worker: psutil.Process) -> int:
    # One of a worker's connections is the one to its master.
    return len([one for one in worker.net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED]) - 1


async def test_every_locust_may_hold_as_many_sockets_as_the_system_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        async with driven(Server(delay_s=None), tmp_path, workers=1) as load:
            started = [load.pid, *(worker.pid for worker in workers_of(os.getpid()))]
            assert [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in started] == [(hard, hard)] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("part", ["worker", "master"])
async def test_a_part_that_is_killed_is_named_with_its_log(tmp_path: Path, part: str) -> None:
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012 - the load must be running
        async with driven(Server(delay_s=None), tmp_path, workers=2) as load, asyncio.TaskGroup() as group:
            started = set(psutil.Process().children(recursive=True)) - before
            group.create_task(load.watch())
            group.create_task(burst(load, Burst(requests=10, over_s=0.1)))
            await asyncio.sleep(0.5)
            os.kill(workers_of(os.getpid())[0].pid if part == "worker" else load.pid, signal.SIGKILL)
            await asyncio.sleep(30)
    (error,) = _leaves(raised.value)
    name, log = ("locust worker 0", "locust.worker-0.log") if part == "worker" else ("locust master", "locust.log")
    assert str(error) == f"{name}: was killed by SIGKILL (log: {tmp_path / log})"
    assert len(started) == 3
    assert not psutil.wait_procs(started, timeout=10)[1]


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found = group.subgroup(StackError)
    assert found is not None
    leaves: list[BaseException] = []
    for error in found.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


@pytest.mark.parametrize("when", ["ready", "starting"])
def test_kill_9_of_the_parent_leaves_no_locust(tmp_path: Path, when: str) -> None:
    code = f"""
import asyncio
from pathlib import Path
from harness.library import load_scenario
from harness.processes.messages import LoadReady
from harness.stacks.driving import running_load
async def main():
    async with running_load("http://127.0.0.1:9", load_scenario("cold_burst"), log=Path({str(tmp_path / "log")!r}),
                            workers=2) as load:
        if {when == "ready"}:
            await load.next_record(LoadReady)
        print("now", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "now\n"
    started = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert len(started) == 3
    assert not psutil.wait_procs(started, timeout=20)[1]


def below_the_ephemeral_ports() -> int:
    """A port that is free, and that no connection going out can take in the meantime."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(lowest - 1 - os.getpid() % 5000, 1024, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Distributed:
    """Locust's own command line over loopback: two workers, then their master."""

    def __init__(self, url: str, folder: Path, *mode: str) -> None:
        port = str(below_the_ephemeral_ports())
        scenario = folder / "small.py"
        scenario.write_text(SMALL)
        locust = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
        self.workers = [self._started([*locust, "--worker", "--master-port", port]) for _ in range(2)]
        self.master = self._started([
            *locust, "--scenario", str(scenario), "--seed", "7", "--host", url, *mode, "--only-summary",
            "--json", "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port,
            "--expect-workers", "2",
        ])  # fmt: skip

    @staticmethod
    def _started(argv: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    async def ended(self) -> tuple[str, str]:
        """What the master printed, once all have ended."""
        printed = await asyncio.to_thread(self.master.communicate, timeout=60)
        for worker in self.workers:
            await asyncio.to_thread(worker.communicate, timeout=30)
        return printed

    def __enter__(self) -> "Distributed":
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.master, *self.workers):
            if process.poll() is None:
                process.kill()
                process.communicate()


# What the Locust operator for Kubernetes gives its master: docs/scaling.md.
AS_THE_OPERATOR = (
    "--autostart",
    "--autoquit",
    "1",
    "--enable-rebalancing",
    "--web-host",
    "127.0.0.1",
    "--web-port",
    "0",
)


TWO_BURSTS = SMALL.replace(
    "timeline=(Burst(requests=60, over_s=1),)",
    "instances=2, timeline=(Burst(requests=30, over_s=0.5), Idle(1.0), Burst(requests=40, over_s=0.5))",
).replace("import Burst", "import Burst, Idle")


@pytest.mark.parametrize("host", ["given", "own"])
async def test_locusts_own_command_line_plays_every_burst_of_a_story_on_every_instance(
    tmp_path: Path, host: str
) -> None:
    scenario = tmp_path / "small.py"
    scenario.write_text(TWO_BURSTS)
    server = Server(delay_s=0.0)
    async with listening(server) as url:
        locust = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary", "--json"]
        options = ["--scenario", str(scenario), "--seed", "7", *(["--host", url] if host == "given" else [])]
        process = await asyncio.create_subprocess_exec(
            *locust, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        printed, log = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, log
    statistics = json.loads(printed)
    assert sum(entry["num_requests"] for entry in statistics) == 70
    assert sum(entry["num_failures"] for entry in statistics) == 0
    if host == "given":
        first, second = Burst(requests=30, over_s=0.5), Burst(requests=40, over_s=0.5)
        assert sorted(server.asked) == sorted(asked_by(first, 7) + asked_by(second, 7 + 1_000_003))


@pytest.mark.parametrize("mode", [("--headless",), AS_THE_OPERATOR], ids=["headless", "operator"])
async def test_locusts_own_master_and_workers_drive_the_schedule_once(tmp_path: Path, mode: tuple[str, ...]) -> None:
    server = Server(delay_s=0.0)
    async with listening(server) as url:
        with Distributed(url, tmp_path, *mode) as locust:
            printed, log = await locust.ended()
            assert [process.returncode for process in (locust.master, *locust.workers)] == [0, 0, 0], log
    assert sorted(server.asked) == asked_by(Burst(requests=60, over_s=1), seed=7)
    statistics = json.loads(printed)
    assert sum(entry["num_requests"] for entry in statistics) == 60
    assert sum(entry["num_failures"] for entry in statistics) == 0


async def test_a_worker_of_locusts_own_master_that_dies_ends_the_test_with_status_3(tmp_path: Path) -> None:
    server = Server(delay_s=None)
    async with listening(server) as url:
        with Distributed(url, tmp_path, "--headless") as locust:
            while len(server.asked) < 60:
                await asyncio.sleep(0.05)
                assert locust.master.poll() is None
            locust.workers[0].kill()
            _, log = await locust.ended()
            assert locust.master.returncode == 3
    assert "went away with its share of the burst" in log
