"""PgBouncer as a part of a stack: loopback, a password, no root, no secret left, and gone with its parent."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from harness.model.errors import StackError, UserError
from harness.model.server import PgBouncer
from harness.pgbouncer import running_pgbouncer
from harness.pgbouncer.program import VARIABLE, Program, program
from harness.pgbouncer.settings import configuration, user_list
from harness.postgres import PostgresServer
from harness.postgres.folder import sweep
from harness.processes.messages import ServePgBouncer
from tests.conftest import needs_pgbouncer

pytestmark = pytest.mark.anyio

SERVER = ServePgBouncer(pooler={}, host="127.0.0.1", port=5433, user="trial_1", password='se"cret', database="db")
HOLDER = """
import asyncio, sys
from pathlib import Path
from harness.model.server import PgBouncer
from harness.pgbouncer import running_pgbouncer
from harness.postgres import PostgresServer
server = PostgresServer(host="127.0.0.1", port=1, user="u", database="d", version="", password="p")
async def main():
    async with running_pgbouncer(PgBouncer(), server, log=Path(sys.argv[1])) as (reached, child):
        print(reached.pid, child.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def settings_of(pooler: PgBouncer) -> dict[str, str]:
    text = configuration(pooler, SERVER, port=6432, users=Path("/run/users"))
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_its_files_say_what_the_story_says_and_no_secret_is_in_the_configuration() -> None:
    pooler = PgBouncer(mode="transaction", query_wait_timeout_s=0.00005, ignore_startup_parameters=("a", "b"))
    found = settings_of(pooler)
    assert found["db"] == "host=127.0.0.1 port=5433 dbname=db"
    assert found["listen_addr"] == "127.0.0.1"
    assert (found["pool_mode"], found["query_wait_timeout"]) == ("transaction", "0.00005")
    assert found["ignore_startup_parameters"] == "a,b"
    assert "max_prepared_statements" not in found
    assert settings_of(PgBouncer(max_prepared_statements=7))["max_prepared_statements"] == "7"
    assert "se" + '"' not in str(found)
    assert user_list(SERVER) == '"trial_1" "se""cret"\n'


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mode": "statement"}, r"no mode 'statement' \(allowed: session, transaction\)"),
        ({"default_pool_size": 0}, "default_pool_size must be at least 1, got 0"),
        ({"max_client_conn": 2.5}, "max_client_conn must be a whole number"),
        ({"query_wait_timeout_s": -1}, "query_wait_timeout_s must be 0 or positive, got -1"),
        ({"server_login_retry_s": 0}, "server_login_retry_s must be positive, got 0"),
        ({"server_connect_timeout_s": float("inf")}, "server_connect_timeout_s must be at most"),
        ({"ignore_startup_parameters": "statement_timeout"}, "must be names of parameters"),
        ({"ignore_startup_parameters": ("x = 1\nauth_type",)}, "must be names of parameters"),
    ],
)
def test_what_can_not_be_meant_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        PgBouncer(**wrong)


@pytest.mark.parametrize(
    ("version", "follows"), [("1.18.0", False), ("1.20.1", False), ("1.21.0", True), ("2.0", True)]
)
def test_prepared_statements_are_followed_since_1_21(version: str, follows: bool) -> None:
    assert Program(Path("pgbouncer"), version).follows_prepared_statements is follows


def test_a_program_that_is_not_there_is_one_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/pgbouncer")
    with pytest.raises(StackError, match=r"pgbouncer: can't be run: .*apt-get install pgbouncer"):
        program()
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("harness.pgbouncer.program.DEBIAN", Path("/nowhere"))
    with pytest.raises(StackError, match=r"pgbouncer: is not installed: apt-get install pgbouncer"):
        program()


def test_a_run_without_the_program_ends_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "behind_pgbouncer", "--stack", "embedded", "--out", str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, VARIABLE: "/nowhere/pgbouncer"},
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("coldstart: pgbouncer: can't be run: ")
    assert list(tmp_path.iterdir()) == []


@needs_pgbouncer
async def test_it_listens_on_loopback_as_nobody_special_and_wants_the_password(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with running_pgbouncer(PgBouncer(), postgres, log=log) as (reached, child):
        process = psutil.Process(reached.pid)
        listening = {one.laddr for one in process.net_connections("inet") if one.status == "LISTEN"}
        assert listening == {("127.0.0.1", reached.port)}
        assert process.uids().real != 0
        users = Path(process.cwd()) / "userlist.txt"
        assert users.stat().st_mode & 0o777 == 0o600
        assert users.stat().st_uid == process.uids().real
        connection = await asyncpg.connect(reached.dsn, ssl=False)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        with pytest.raises(asyncpg.PostgresError):
            await asyncpg.connect(replace(reached, password="wrong").dsn, ssl=False)
        for pid in (reached.pid, child.pid):
            assert postgres.password not in " ".join(psutil.Process(pid).cmdline())
            assert postgres.password not in psutil.Process(pid).environ().values()
    assert not psutil.pid_exists(reached.pid)
    assert not users.parent.exists()
    assert postgres.password not in log.read_text()


@needs_pgbouncer
async def test_two_run_beside_each_other_and_one_that_dies_is_named(postgres: PostgresServer, tmp_path: Path) -> None:
    async with (
        running_pgbouncer(PgBouncer(), postgres, log=tmp_path / "one") as (one, first),
        running_pgbouncer(PgBouncer(), postgres, log=tmp_path / "two") as (two, _),
    ):
        assert one.port != two.port
        os.kill(one.pid, signal.SIGKILL)
        with pytest.raises(StackError, match="pgbouncer: ended with status 1: pgbouncer: ended with status -9"):
            await first.watch()


@needs_pgbouncer
@pytest.mark.parametrize("killed", ["the one who started it", "its supervisor"])
def test_kill_9_takes_it_down_and_its_folder_is_swept(tmp_path: Path, killed: str) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    pooler, supervisor = (psutil.Process(int(pid)) for pid in holder.stdout.readline().split())
    folder = Path(pooler.cwd())
    assert folder.is_relative_to(tempfile.gettempdir())
    if killed == "its supervisor":
        supervisor.kill()
        pooler.wait(timeout=10)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    _, alive = psutil.wait_procs([pooler, supervisor], timeout=10)
    assert not alive
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        sweep("pgbouncer")
    assert not folder.exists()
