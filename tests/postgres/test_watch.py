"""Whether a PostgreSQL answers and is the one that it was, asked around the proxy: of a server that does as it is told.

On real ones: tests/stacks/test_disturbed.py, and below.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from harness.heartbeat import Heartbeat, beating
from harness.postgres import embedded_postgres
from harness.postgres.watch import MAY_ENCRYPT, Listening, PostgresWatch


class Server:
    """Answers as a postmaster does, but late, and ends its connections when it is told to."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.asked = 0
        self._open: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        assert await reader.readexactly(8) == MAY_ENCRYPT
        self.asked += 1
        await asyncio.sleep(self.late_s)
        writer.write(b"N")
        with suppress(OSError):
            await reader.read()
        writer.close()

    def crash(self) -> None:
        for writer in self._open:
            writer.transport.abort()


Heard = list[tuple[str, float]]


def watched(story: Callable[[Server, PostgresWatch], Awaitable[None]]) -> Heard:
    """What a watch tells of a server while a story is played on it."""
    heard: Heard = []

    async def play() -> None:
        server = Server()
        serving = await asyncio.start_server(server.answer, "127.0.0.1", 0)
        host, port = serving.sockets[0].getsockname()
        heart = Heartbeat(time.monotonic())
        watch = PostgresWatch(host, port, heart)
        tasks = [asyncio.create_task(watch.run()), asyncio.create_task(beating(lambda *_: None, heart))]
        listening = Listening(
            stalled=lambda _, for_s: heard.append(("stalled", for_s)),
            restarted=lambda at_s: heard.append(("restarted", at_s)),
        )
        await watch.settled()
        with watch.heard_by(listening):
            await story(server, watch)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        serving.close()
        server.crash()
        await asyncio.sleep(0.01)

    asyncio.run(play())
    return heard


def test_one_that_answers_is_told_nothing_of() -> None:
    async def story(server: Server, watch: PostgresWatch) -> None:
        await watch.settled()
        await watch.settled()
        assert server.asked >= 3

    assert watched(story) == []


def test_a_late_answer_is_a_stall_as_long_as_it_was() -> None:
    async def story(server: Server, watch: PostgresWatch) -> None:
        server.late_s = 0.6
        await watch.settled()
        server.late_s = 0.0
        await watch.settled()

    assert max(for_s for what, for_s in watched(story) if what == "stalled") == pytest.approx(0.6, abs=0.3)


def test_an_answer_that_never_comes_is_told_when_the_trial_ends() -> None:
    async def story(server: Server, watch: PostgresWatch) -> None:
        server.late_s = 60.0
        await watch.settled()

    ((what, for_s),) = watched(story)
    assert what == "stalled"
    assert for_s >= 0.5


def test_connections_that_end_by_themselves_are_a_restart() -> None:
    async def story(server: Server, watch: PostgresWatch) -> None:
        server.crash()
        await watch.settled()

    assert "restarted" in [what for what, _ in watched(story)]


def test_what_this_loop_itself_stood_still_is_not_the_database_s() -> None:
    async def story(server: Server, watch: PostgresWatch) -> None:
        asked = server.asked
        while server.asked == asked:
            await asyncio.sleep(0.001)
        time.sleep(1.0)  # noqa: ASYNC251 - this loop's own stall, with a question under way
        await watch.settled()

    assert max((for_s for what, for_s in watched(story) if what == "stalled"), default=0.0) < 0.5


def test_a_real_one_ends_what_it_was_asked_by_when_a_backend_is_killed_and_logs_nothing_of_being_asked(
    tmp_path: Path,
) -> None:
    restarted: list[float] = []

    async def play() -> None:
        log = tmp_path / "postgres.log"
        # All places are taken: the watch needs none.
        async with embedded_postgres(log=log, max_connections=5) as (server, _):
            watch = PostgresWatch(server.host, server.port, Heartbeat(time.monotonic()))
            running = asyncio.create_task(watch.run())
            await watch.settled()
            with watch.heard_by(Listening(stalled=lambda *_: None, restarted=restarted.append)):
                connections = [await asyncpg.connect(server.dsn, ssl=False) for _ in range(5)]
                before = len(log.read_text().splitlines())
                for _ in range(5):
                    await watch.settled()
                assert len(log.read_text().splitlines()) == before
                assert not restarted
                pid = await connections[0].fetchval("SELECT pg_backend_pid()")
                assert psutil.pid_exists(pid)
                os.kill(pid, signal.SIGKILL)
                async with asyncio.timeout(30):
                    while not restarted:
                        await watch.settled()
                    # Its connections end first, and what it then does is logged when all of its processes have.
                    while "reinitializing" not in log.read_text():
                        await asyncio.sleep(0.05)
            running.cancel()
            for connection in connections:
                connection.terminate()

    asyncio.run(play())
    assert len(restarted) >= 1
