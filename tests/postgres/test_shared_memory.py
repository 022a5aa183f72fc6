"""Whoever is killed, with whatever: nothing of PostgreSQL's shared memory stays on the machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from harness.model.errors import StackError
from harness.postgres import PostgresServer, embedded_postgres
from harness.postgres.folder import sweep
from harness.postgres.shared_memory import PID_FILE, recorded_segment, remove_segment
from harness.service.catalogue import create_catalogue

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/sysvipc/shm").exists(), reason="the segments are listed on Linux only"),
]

HOLDER = """
import asyncio, sys
from pathlib import Path
from harness.postgres import embedded_postgres
async def main():
    async with embedded_postgres(log=Path(sys.argv[1])) as (server, child):
        print(server.pid, child.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def segments() -> set[tuple[int, int]]:
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {(int(key), int(segment)) for key, segment, *_ in map(str.split, lines)}


def data_of(server: int) -> Path:
    words = psutil.Process(server).cmdline()
    return Path(words[words.index("-D") + 1])


def gone(segment: tuple[int, int], folder: Path) -> bool:
    deadline_s = time.monotonic() + 10
    while (segment in segments() or folder.exists()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return segment not in segments() and not folder.exists()


async def test_nothing_of_it_is_in_dev_shm(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.dsn, ssl=False)
    try:
        assert await connection.fetchval("SHOW dynamic_shared_memory_type") == "mmap"
    finally:
        await connection.close()
    assert not any(one.path.startswith("/dev/shm") for one in psutil.Process(postgres.pid).memory_maps())  # noqa: S108 - looked for


@pytest.mark.parametrize("killed", ["postmaster", "supervisor"])
async def test_a_killed_part_leaves_no_segment_and_no_folder_and_says_what_killed_it(
    tmp_path: Path, killed: str
) -> None:
    found: list[tuple[Path, tuple[int, int] | None]] = []

    async def started_and_killed() -> None:
        async with embedded_postgres(log=tmp_path / "log") as (server, child):
            data = data_of(server.pid)
            found.append((data.parent, recorded_segment(data)))
            os.kill(server.pid if killed == "postmaster" else child.pid, signal.SIGKILL)
            # Between ready and the catalogue.
            async with child.answerable():
                await create_catalogue(server.dsn)

    with pytest.raises(StackError) as raised:
        await started_and_killed()
    ((folder, segment),) = found
    said = (
        "ended with status 1: the server was killed by SIGKILL" if killed == "postmaster" else "was killed by SIGKILL"
    )
    assert str(raised.value) == f"postgres: {said} (log: {tmp_path / 'log'})"
    assert segment is not None
    assert gone(segment, folder)


@contextmanager
def holder(log: Path) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process, psutil.Process]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(log)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        server, supervisor = (psutil.Process(int(pid)) for pid in process.stdout.readline().split())
        yield process, server, supervisor
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_when_all_are_killed_at_once_the_next_start_removes_the_segment(tmp_path: Path) -> None:
    with holder(tmp_path / "log") as (parent, server, supervisor):
        data = data_of(server.pid)
        segment = recorded_segment(data)
        for pid in (parent.pid, supervisor.pid, server.pid):
            os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([server, supervisor], timeout=10)
    # Whatever else starts a PostgreSQL on this machine at this moment may be the next start.
    sweep()
    assert segment is not None
    assert gone(segment, data.parent)


def test_another_s_segment_under_a_recorded_number_is_left_alone(tmp_path: Path, postgres: PostgresServer) -> None:
    segment = recorded_segment(data_of(postgres.pid))
    assert segment is not None
    lines = ["1", f"{tmp_path}", "0", "1", "", "127.0.0.1", f"{segment[0] + 1} {segment[1]}", "ready"]
    (tmp_path / PID_FILE).write_text("\n".join(lines))
    assert not remove_segment(tmp_path)
    assert segment in segments()


@pytest.mark.parametrize("text", ["", "1\n2\n", "1\n2\n3\n4\n5\n6\nno number\n", "1\n2\n3\n4\n5\n6\n17\n"])
def test_a_record_that_is_none_removes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / PID_FILE).write_text(text)
    before = segments()
    assert not remove_segment(tmp_path)
    assert before <= segments()
