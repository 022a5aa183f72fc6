"""What becomes of open connections whose other end is gone, through the unmodified asyncpg."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from harness.model.compute import OnSuspend
from harness.model.kernel import LINUX_6_5, Kernel
from harness.model.server import IdleReaper
from harness.model.timeline import ConnectionLoss, Outage
from harness.model.wake import profile
from harness.simulation.backend import SimulatedPostgres, constant
from harness.simulation.loop import StalledError, VirtualLoop, run
from harness.simulation.network import Network

Story = Callable[[SimulatedPostgres, Any], Awaitable[Any]]


def played(
    story: Story, *, on_suspend: str = "vanish", wake_s: float = 8.0, way_s: float = 0.0,
    kernel: Kernel = LINUX_6_5, **options: Any,
) -> Any:  # fmt: skip
    """Play a story with one open connection; what it returns."""
    wake = profile("neon").with_changes(on_suspend=on_suspend, while_waking="drop")

    async def main(loop: VirtualLoop) -> Any:
        network = Network(loop, draw_way_s=constant(way_s), kernel=kernel)
        server = SimulatedPostgres(
            loop=loop,
            behaviour=wake.behaviour(suspends_by_itself=False),
            draw_wake_latency_s=constant(wake_s),
            **options,
        )
        network.listen("localhost", 5432, server)
        connection = await connected()
        try:
            return await story(server, connection)
        finally:
            while OPEN:
                OPEN.pop().terminate()

    return run(main)


OPEN: list[Any] = []


async def connected() -> Any:
    OPEN.append(await asyncpg.connect(host="localhost", user="coldstart", database="catalogue", ssl=False))
    return OPEN[-1]


async def ends(asking: Awaitable[Any]) -> tuple[float, str]:
    """When a statement on a dead connection ends, and what ended it."""
    with pytest.raises((asyncpg.ConnectionDoesNotExistError, OSError)) as raised:
        await asking
    error = raised.value.__cause__ or raised.value
    return asyncio.get_running_loop().time(), type(error).__name__


def test_a_vanished_connection_ends_at_the_first_retransmission_after_the_wake() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        server.suspend()
        asking = asyncio.ensure_future(ends(connection.fetchval("SELECT 1")))
        await connected()  # starts the wake
        return await asking

    first_after_the_wake_s = min(at_s for at_s in LINUX_6_5.data(0.0).again_s if at_s >= 8.0)
    assert played(story) == (first_after_the_wake_s, "ConnectionResetError")


def test_nobody_answers_on_a_vanished_connection_until_the_kernel_gives_up() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        server.suspend()
        return await ends(connection.fetchval("SELECT 1"))

    assert played(story) == (LINUX_6_5.data(0.0).gives_up_s, "TimeoutError")
    impatient = Kernel(name="impatient", tcp_retries2=5)
    assert played(story, kernel=impatient)[0] == pytest.approx(13.3, abs=0.1)


def test_what_is_written_only_after_the_wake_is_answered_by_rst_in_one_round_trip() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        server.suspend()
        await connected()
        asked_s = server.loop.time()
        ended_s, error = await ends(connection.fetchval("SELECT 1"))
        return round(ended_s - asked_s, 6), error

    assert played(story, way_s=0.01) == (0.02, "ConnectionResetError")


def test_a_vanished_connection_that_has_sent_nothing_stays_quiet() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> bool:
        server.suspend()
        await connected()
        await asyncio.sleep(100_000)
        return bool(connection.is_closed())

    assert played(story) is False


def test_an_answer_that_was_under_way_never_comes_and_nothing_is_retransmitted() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> None:
        asking = asyncio.ensure_future(connection.fetchval("SELECT pg_sleep($1)", 60.0))
        await asyncio.sleep(1)
        server.suspend()
        await asking

    with pytest.raises(StalledError):
        played(story)


def test_data_that_was_under_way_as_the_machine_vanished_is_retransmitted() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> str:
        asking = asyncio.ensure_future(ends(connection.fetchval("SELECT 1")))
        await asyncio.sleep(0.005)
        server.suspend()
        return (await asking)[1]

    assert played(story, way_s=0.01) == "TimeoutError"


def test_a_frozen_connection_is_acknowledged_by_somebody_and_stays_dead_for_ever() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> None:
        server.suspend()
        asking = asyncio.ensure_future(connection.fetchval("SELECT 1"))
        await connected()
        await asking

    with pytest.raises(StalledError):
        played(story, on_suspend="freeze")


def test_after_an_outage_the_new_machine_answers_by_rst() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        server.outage(Outage(3.0, OnSuspend.VANISH))
        return await ends(connection.fetchval("SELECT 1"))

    ended_s, error = played(story)
    assert (ended_s, error) == (
        min(at_s for at_s in LINUX_6_5.data(0.0).again_s if at_s >= 3.0),
        "ConnectionResetError",
    )


def test_a_lost_connection_to_a_database_that_is_awake_meets_no_rst() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        server.lose(ConnectionLoss(1.0, OnSuspend.VANISH))
        await (await connected()).fetchval("SELECT 1")
        return await ends(connection.fetchval("SELECT 1"))

    assert played(story) == (LINUX_6_5.data(0.0).gives_up_s, "TimeoutError")


def test_a_connection_that_a_nat_forgot_in_silence_ends_when_the_kernel_gives_up() -> None:
    async def story(_: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        await asyncio.sleep(20)
        return await ends(connection.fetchval("SELECT 1"))

    assert played(story, reaper=IdleReaper(10, silently=True)) == (LINUX_6_5.data(20.0).gives_up_s, "TimeoutError")


def keep_alive(connection: Any, idle_s: int) -> None:
    """As a driver asks for keepalives."""
    asked = connection._transport.get_extra_info("socket")
    asked.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, idle_s), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        asked.setsockopt(socket.IPPROTO_TCP, option, value)


def test_a_keepalive_finds_out_that_the_machine_is_back() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, bool]:
        keep_alive(connection, 30)
        server.suspend()
        await connected()
        while not connection.is_closed():
            await asyncio.sleep(0.5)
        return server.loop.time(), True

    assert played(story)[0] == pytest.approx(30, abs=3)


def test_keepalives_without_an_answer_end_a_statement_that_waits() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> tuple[float, str]:
        keep_alive(connection, 30)
        asking = asyncio.ensure_future(ends(connection.fetchval("SELECT pg_sleep($1)", 600.0)))
        await asyncio.sleep(1)
        server.suspend()
        return await asking

    ended_s, error = played(story)
    assert (ended_s, error) == (pytest.approx(45, abs=4), "TimeoutError")


def test_keepalives_are_traffic_to_a_nat() -> None:
    async def story(_: SimulatedPostgres, connection: Any) -> int:
        keep_alive(connection, 8)
        await asyncio.sleep(20)
        return int(await connection.fetchval("SELECT 1"))

    assert played(story, reaper=IdleReaper(10, silently=True)) == 1


def test_closing_a_vanished_connection_leaves_nothing_behind() -> None:
    async def story(server: SimulatedPostgres, connection: Any) -> float:
        server.suspend()
        asking = asyncio.ensure_future(connection.fetchval("SELECT 1", timeout=2))
        with pytest.raises(TimeoutError):
            await asking
        connection.terminate()
        await asyncio.sleep(0)
        return server.loop.time()

    assert played(story, wake_s=100.0) == pytest.approx(2.0, abs=6)
