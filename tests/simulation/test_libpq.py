"""The unmodified psycopg on the in-memory network: times, silence, cancelling, large messages, nothing left open."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import psycopg.waiting
import pytest
from psycopg import AsyncConnection

from harness.model.wake import profile
from harness.simulation.backend import SimulatedPostgres, constant
from harness.simulation.libpq import ABSTRACT, LibpqSockets
from harness.simulation.loop import VirtualLoop, VirtualTimeError, run
from harness.simulation.network import Network

HOST = "localhost"
Connection = AsyncConnection[Any]
Connect = Callable[..., Awaitable[Connection]]


def simulated(
    story: Callable[[SimulatedPostgres, Connect], Awaitable[Any]],
    *,
    addresses: int = 1,
    way_s: float = 0.0,
    **options: Any,
) -> Any:
    """Play a story on a fresh backend; what it returns."""

    async def main(loop: VirtualLoop) -> Any:
        network = Network(loop, draw_way_s=constant(way_s))
        server = SimulatedPostgres(loop=loop, **options)
        network.listen(HOST, 5432, server, addresses=addresses)
        sockets = LibpqSockets(network, HOST, 5432)
        connecting = sockets.connection_class(AsyncConnection)

        async def connect(**more: Any) -> Connection:
            parameters = {"host": HOST, "user": "coldstart", "dbname": "catalogue", **more}
            opened.append(await connecting.connect(**parameters))
            return opened[-1]

        opened: list[Connection] = []
        try:
            return await story(server, connect)
        finally:
            sockets.close()

    return run(main)


def asleep(**behaviour: str) -> dict[str, Any]:
    wake = profile("neon").with_changes(**behaviour)
    return {"behaviour": wake.behaviour(suspends_by_itself=False), "draw_wake_latency_s": constant(8.0)}


def test_round_trips_and_service_times_add_up() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> tuple[float, float]:
        connection = await connect(autocommit=True)
        connected_s = server.loop.time()
        await connection.execute("SELECT pg_sleep(%s)", (2.5,))
        return connected_s, server.loop.time() - connected_s

    connected_s, asked_s = simulated(story, way_s=0.001, draw_connect_s=constant(0.05))
    # One round trip for the connection request, one for the startup; libpq sends a statement in one piece.
    assert connected_s == pytest.approx(0.05 + 2 * 0.002)
    assert asked_s == pytest.approx(2.5 + 0.002)


def test_scram_lets_the_right_password_in_and_keeps_a_wrong_one_out() -> None:
    async def story(_: SimulatedPostgres, connect: Connect) -> Any:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await connect(password="wrong")
        connection = await connect(password="secret")
        return await (await connection.execute("SELECT 1")).fetchone()

    assert simulated(story, password="secret") == (1,)


def test_whole_numbers_arrive_however_many_bytes_psycopg_gives_them() -> None:
    async def story(_: SimulatedPostgres, connect: Connect) -> list[Any]:
        connection = await connect()
        sql = (
            "SELECT tracks.id, tracks.title, artists.name AS artist FROM tracks JOIN artists"
            " ON artists.id = tracks.artist_id WHERE tracks.id > {} ORDER BY tracks.id LIMIT 20"
        )
        answers = []
        for after in (1, 40_000, 3_000_000_000):
            for form in ("%s", "%b", "%t"):
                cursor = await connection.execute(sql.format(form), (after,))  # type: ignore[call-overload]
                answers.append(len(await cursor.fetchall()))
        return answers

    assert simulated(story) == [20, 20, 20, *[0] * 6]


def test_held_until_the_wake_and_then_connected() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> float:
        server.suspend()
        await connect()
        return server.loop.time()

    assert simulated(story, **asleep(while_waking="hold")) == 8.0


def test_a_connect_timeout_holds_for_each_address() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> float:
        server.suspend()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            await connect(connect_timeout=2)
        return server.loop.time()

    # psycopg looks at its deadline ten times a second.
    assert simulated(story, addresses=3, **asleep(while_waking="hold")) == pytest.approx(6.0, abs=0.01)


def test_left_to_itself_psycopg_gives_an_address_130_s() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> float:
        server.suspend()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            await connect()
        return server.loop.time()

    options = {**asleep(while_waking="hold"), "draw_wake_latency_s": constant(1000.0)}
    assert simulated(story, **options) == pytest.approx(130.0, abs=0.01)


@pytest.mark.parametrize("while_waking", ["refuse", "error"])
def test_what_is_refused_is_an_operational_error_without_a_sqlstate(while_waking: str) -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> Any:
        server.suspend()
        with pytest.raises(psycopg.OperationalError) as refused:
            await connect()
        return server.loop.time(), refused.value.sqlstate

    assert simulated(story, **asleep(while_waking=while_waking)) == (0.0, None)


@pytest.mark.parametrize("on_suspend", ["close", "terminate", "reset"])
def test_a_connection_that_was_ended_says_so_at_its_next_use(on_suspend: str) -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> Any:
        connection = await connect(autocommit=True)
        server.suspend()
        with pytest.raises(psycopg.OperationalError) as lost:
            await connection.execute("SELECT 1")
        return server.loop.time(), lost.value.sqlstate, connection.broken

    sqlstate = "57P01" if on_suspend == "terminate" else None
    assert simulated(story, **asleep(on_suspend=on_suspend)) == (0.0, sqlstate, True)


def test_a_statement_that_is_cancelled_on_a_silent_connection_is_given_up_ten_seconds_later() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> float:
        connection = await connect(autocommit=True)
        server.suspend()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await connection.execute("SELECT 1")
        assert connection.closed
        return server.loop.time()

    # The cancel request has 5 s, held like every other connection; then the statement has 5 s more.
    options = {**asleep(on_suspend="freeze"), "draw_wake_latency_s": constant(100.0)}
    assert simulated(story, **options) == pytest.approx(17.0, abs=0.1)


def test_a_statement_is_cancelled_over_a_connection_of_its_own() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> tuple[float, bool]:
        connection = await connect(autocommit=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await connection.execute("SELECT pg_sleep(%s)", (60.0,))
        return server.loop.time(), connection.closed

    assert simulated(story) == (3.0, False)


def test_a_statement_larger_than_a_sockets_buffer_arrives_whole_and_so_does_its_answer() -> None:
    text = "x" * 3_000_000

    async def story(_: SimulatedPostgres, connect: Connect) -> Any:
        connection = await connect()
        return await (await connection.execute("SELECT %s::text", (text,))).fetchone()

    assert simulated(story) == (text,)


def test_the_servers_own_limit_for_a_statement_is_asked_for_as_it_connects() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> float:
        connection = await connect(options="-c statement_timeout=1500", autocommit=True)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await connection.execute("SELECT pg_sleep(%s)", (60.0,))
        return server.loop.time()

    assert simulated(story) == 1.5


def test_savepoints_nest() -> None:
    async def story(_: SimulatedPostgres, connect: Connect) -> Any:
        connection = await connect()
        async with connection.transaction():
            with pytest.raises(psycopg.Error):
                async with connection.transaction():
                    await connection.execute("SELECT nonsense")
            return await (await connection.execute("SELECT 1")).fetchone()

    assert simulated(story) == (1,)


def test_an_address_that_the_network_does_not_have_is_refused_by_name() -> None:
    async def story(_: SimulatedPostgres, connect: Connect) -> None:
        await connect(host="203.0.113.9")

    with pytest.raises(VirtualTimeError, match=r"203\.0\.113\.9"):
        simulated(story)


def test_nothing_of_a_trial_is_left_open() -> None:
    async def story(_: SimulatedPostgres, connect: Connect) -> None:
        await asyncio.gather(*(connect() for _ in range(20)))

    simulated(story)
    before = set(Path("/proc/self/fd").iterdir())
    clock = vars(psycopg.waiting)["monotonic"]
    simulated(story)
    assert set(Path("/proc/self/fd").iterdir()) == before
    assert vars(psycopg.waiting)["monotonic"] is clock


INTRUDER = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(chr(0) + sys.argv[1][1:])
print(len(client.recv(1)))
"""


def intruder() -> "subprocess.Popen[str]":
    """Another process that connects to this one's socket, and prints how much it was told."""
    ours = f"@coldstart-{os.getpid()}-"
    names = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if ours in line]
    return subprocess.Popen([sys.executable, "-c", INTRUDER, names[0]], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not ABSTRACT, reason="elsewhere a private folder keeps others out")
def test_another_process_that_finds_the_socket_is_turned_away() -> None:
    async def story(server: SimulatedPostgres, connect: Connect) -> tuple[str, int]:
        await connect()
        with intruder() as stranger:
            while stranger.poll() is None:
                await asyncio.sleep(1)
            assert stranger.stdout is not None
            return stranger.stdout.read(), len(server.sessions)

    assert simulated(story) == ("0\n", 1)


def test_a_descriptor_is_watched_for_as_long_as_asked() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        heard: list[str] = []
        left, right = socket.socketpair()
        with left, right:
            loop.add_reader(left.fileno(), lambda: heard.append(left.recv(10).decode()))

            def room() -> None:
                heard.append("room")
                assert loop.remove_writer(left.fileno())

            loop.add_writer(left.fileno(), room)
            right.send(b"one")
            await asyncio.sleep(0.5)
            right.send(b"two")
            await asyncio.sleep(0.5)
            assert loop.remove_reader(left.fileno())
            assert not loop.remove_reader(left.fileno())
            right.send(b"three")
            await asyncio.sleep(0.5)
        return heard

    assert run(main) == ["one", "room", "two"]
