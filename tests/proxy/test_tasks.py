"""No task of the proxy or of the rooms around it dies in silence: each is awaited, or says how it failed."""

import asyncio
import re
from pathlib import Path
from typing import Any, Never

import asyncpg
import pytest

import harness
from harness.proxy.events import EventStream
from harness.proxy.proxy import Proxy
from harness.sleeper import __main__ as sleeper
from tests.proxy.wire import PATIENCE_S, OurServer, Peer

pytestmark = pytest.mark.anyio

ROOMS = ("proxy", "sleeper", "up", "postgres", "pgbouncer", "service")
TASK = re.compile(r"(\w+|\))\.create_task\(|ensure_future\(")
GROUPS = {"group", "running"}
"""What the rooms call a TaskGroup, which awaits its tasks."""
LOOKED_AT = {
    "proxy/tasks.py": "logs, and ends the connection",
    "proxy/proxy.py": "logs, and ends the connection",
    "proxy/server.py": "three, all awaited",
    "proxy/toxiproxy_compute.py": "raised where the compute is watched",
    "pgbouncer/supervisor.py": "its result is asked for",
    "sleeper/__main__.py": "awaited",
    "service/app.py": "the work is awaited; that its client has left is waited for",
    "service/instance.py": "asyncio logs an exception that nobody asked for",
    "service/pools/asyncpg_pool.py": "awaited by whoever needs the pool",
    "service/pools/psycopg_pool.py": "awaited by whoever needs the pool",
}
"""Where else tasks are started, and what becomes of an exception there."""


def test_wherever_a_task_is_started_somebody_has_looked_at_how_it_fails() -> None:
    package = Path(harness.__file__).parent
    files = [path for room in ROOMS for path in (package / room).rglob("*.py")]
    starting = {
        str(path.relative_to(package))
        for path in files
        if any(match.group(1) not in GROUPS for match in TASK.finditer(path.read_text()))
    }
    assert starting == set(LOOKED_AT)


async def test_a_server_that_can_no_longer_hear_its_parent_ends_and_says_why(ours: OurServer) -> None:
    stdin = ours.child._process.stdin
    assert stdin is not None
    stdin.write(b"no command\n")
    await stdin.drain()
    async with asyncio.timeout(PATIENCE_S):
        status = await ours.child._process.wait()
    assert status == 1
    assert "JSON is malformed" in ours.child.log.read_text()


async def test_a_connection_that_cannot_be_taken_over_is_closed_and_the_reason_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> Never:
        raise RuntimeError("out of order")

    monkeypatch.setattr(asyncio.get_running_loop(), "connect_accepted_socket", broken)
    proxy = Proxy("db", listen="127.0.0.1:0", upstream="127.0.0.1:1", events=EventStream())
    proxy.start(("127.0.0.1", 0))
    try:
        with await Peer.to(proxy.listener.address[1]) as client:
            assert await client.ended() == "fin"
        assert not proxy.connections
    finally:
        proxy.stop()
    assert "accepting connection 1 of db failed" in caplog.text
    assert "out of order" in caplog.text


@pytest.mark.parametrize(
    "error", [asyncpg.ConnectionDoesNotExistError("connection was closed"), asyncpg.InterfaceError("is closed")]
)
def test_a_sleeper_whose_postgresql_is_gone_says_so_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def gone(*_: Any) -> Never:
        raise error

    monkeypatch.setenv("COLDSTART_POSTGRES_PASSWORD", "secret")
    monkeypatch.setattr(sleeper, "_serve_until_signalled", gone)
    monkeypatch.setattr(sleeper.socket, "gethostbyname", lambda _: "127.0.0.1")
    assert sleeper.main() == 1
    assert capsys.readouterr().err == f"{error}\n"
