"""The simulated PostgreSQL through the unmodified asyncpg."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from harness.model.compute import ErrorResponse
from harness.model.kernel import LINUX_6_5
from harness.model.wake import profile
from harness.simulation.backend import SimulatedPostgres, constant
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network

HOST = "localhost"


def simulated(
    story: Callable[[SimulatedPostgres], Awaitable[Any]], *, addresses: int = 1, way_s: float = 0.0, **options: Any
) -> Any:
    """Play a story on a fresh backend; what it returns."""

    async def main(loop: VirtualLoop) -> Any:
        network = Network(loop, draw_way_s=constant(way_s))
        server = SimulatedPostgres(loop=loop, **options)
        network.listen(HOST, 5432, server, addresses=addresses)
        try:
            return await story(server)
        finally:
            while OPEN:
                OPEN.pop().terminate()

    return run(main)


OPEN: list[Any] = []


async def connect(**options: Any) -> Any:
    OPEN.append(await asyncpg.connect(host=HOST, user="coldstart", database="catalogue", ssl=False, **options))
    return OPEN[-1]


def asleep(**behaviour: str) -> dict[str, Any]:
    wake = profile("neon").with_changes(**behaviour)
    return {"behaviour": wake.behaviour(suspends_by_itself=False), "draw_wake_latency_s": constant(8.0)}


def test_round_trips_and_service_times_add_up() -> None:
    async def story(server: SimulatedPostgres) -> tuple[float, float]:
        connection = await connect(statement_cache_size=0)
        connected_s = server.loop.time()
        await connection.fetchval("SELECT $1::text", "x")
        return connected_s, server.loop.time() - connected_s

    connected_s, asked_s = simulated(
        story, way_s=0.001, draw_connect_s=constant(0.05), draw_service_s=constant(0.02)
    )  # fmt: skip
    # One round trip for the connection request, one for the startup.
    assert connected_s == pytest.approx(0.05 + 2 * 0.002)
    # One to prepare, one to execute; what only talks to the session takes no service time.
    assert asked_s == pytest.approx(0.02 + 2 * 0.002)


def test_scram_lets_the_right_password_in() -> None:
    async def story(_: SimulatedPostgres) -> int:
        return await (await connect(password="secret")).fetchval("SELECT 1")

    assert simulated(story, password="secret") == 1


def test_scram_keeps_a_wrong_password_out() -> None:
    async def story(_: SimulatedPostgres) -> None:
        await connect(password="wrong")

    with pytest.raises(asyncpg.InvalidPasswordError):
        simulated(story, password="secret")


def test_one_connection_too_many_is_refused_with_53300() -> None:
    async def story(_: SimulatedPostgres) -> int:
        connections = [await connect() for _ in range(3)]
        with pytest.raises(asyncpg.TooManyConnectionsError) as raised:
            await connect()
        assert raised.value.sqlstate == "53300"
        await connections[0].close()
        return await (await connect()).fetchval("SELECT 1")

    assert simulated(story, max_connections=3) == 1


def test_a_command_timeout_cancels_over_a_connection_of_its_own() -> None:
    async def story(server: SimulatedPostgres) -> tuple[float, int, int]:
        connection = await connect(command_timeout=2.0)
        with pytest.raises(TimeoutError):
            await connection.execute("INSERT INTO plays (track_id) VALUES ($1)", 7)
        gave_up_s = server.loop.time()
        server.draw_service_s = constant(0.0)
        answer = await connection.fetchval("SELECT 1")
        return gave_up_s, answer, len(server.sessions)

    assert simulated(story, draw_service_s=constant(60.0)) == (2.0, 1, 1)


def test_notifications_reach_those_who_listen() -> None:
    async def story(_: SimulatedPostgres) -> list[tuple[str, str]]:
        heard: list[tuple[str, str]] = []
        listener, speaker = await connect(), await connect()
        await listener.add_listener("queue", lambda _c, _p, channel, payload: heard.append((channel, payload)))
        await speaker.execute("NOTIFY queue, 'hello'")
        await asyncio.sleep(1)
        await listener.remove_listener("queue", lambda *_: None)
        return heard

    assert simulated(story) == [("queue", "hello")]


def test_a_failed_transaction_ignores_everything_until_its_end() -> None:
    async def story(_: SimulatedPostgres) -> int:
        connection = await connect()
        transaction = connection.transaction()
        await transaction.start()
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.fetch("SELECT nothing of the kind")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await connection.fetch("SELECT 1")
        await transaction.rollback()
        return await connection.fetchval("SELECT 1")

    assert simulated(story) == 1


@pytest.mark.parametrize(
    ("on_suspend", "raised", "after_s"),
    [
        ("close", asyncpg.InterfaceError, 0.0),
        ("terminate", asyncpg.InterfaceError, 0.0),
        ("reset", asyncpg.InterfaceError, 0.0),
        ("freeze", TimeoutError, 3.0),
    ],
)
def test_an_idle_connection_meets_its_suspend_at_its_next_use(
    on_suspend: str, raised: type[Exception], after_s: float
) -> None:
    async def story(server: SimulatedPostgres) -> tuple[str, float]:
        connection = await connect(command_timeout=3.0)
        server.suspend()
        await asyncio.sleep(10)
        began_s = server.loop.time()
        with pytest.raises(raised):
            await connection.fetchval("SELECT 1")
        return server.state.value, server.loop.time() - began_s

    state, waited_s = simulated(story, **asleep(on_suspend=on_suspend))
    assert waited_s == after_s
    # A frozen connection's bytes reach nobody: they wake nobody. (A timed-out command is cancelled over a new
    # connection, and that does.)
    assert state == ("waking" if on_suspend == "freeze" else "suspended")


def test_a_kept_connection_wakes_the_compute_and_is_answered_after_it() -> None:
    async def story(server: SimulatedPostgres) -> float:
        connection = await connect()
        server.suspend()
        assert await connection.fetchval("SELECT 1") == 1
        return server.loop.time()

    assert simulated(story, **asleep(on_suspend="keep")) == 8.0


def test_held_connections_go_on_together_at_the_wake() -> None:
    async def story(server: SimulatedPostgres) -> list[float]:
        server.suspend()

        async def one(at_s: float) -> float:
            await asyncio.sleep(at_s)
            await connect()
            return server.loop.time()

        return list(await asyncio.gather(*(one(at_s) for at_s in (0.0, 1.0, 7.9, 8.0, 9.0))))

    assert simulated(story, **asleep(while_waking="hold")) == [8.0, 8.0, 8.0, 8.0, 9.0]


def test_a_client_that_left_while_it_was_held_is_forgotten() -> None:
    async def story(server: SimulatedPostgres) -> int:
        server.suspend()
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await connect(timeout=1.0)
        await asyncio.sleep(10)
        return len(server.sessions)

    assert simulated(story, **asleep(while_waking="hold")) == 0


def test_a_dropped_request_gets_through_at_its_next_retransmission() -> None:
    async def story(server: SimulatedPostgres) -> float:
        server.suspend()
        await connect()
        return server.loop.time()

    assert simulated(story, **asleep(while_waking="drop")) == min(
        at_s for at_s in LINUX_6_5.request(0.0).again_s if at_s >= 8.0
    )


def test_every_address_is_tried_until_the_kernel_gives_up() -> None:
    async def story(server: SimulatedPostgres) -> float:
        server.suspend()
        with pytest.raises(OSError, match="Connect call failed"):
            await connect(timeout=1000)
        return server.loop.time()

    options = asleep(while_waking="drop")
    options["draw_wake_latency_s"] = constant(10_000.0)
    given_up_s = 0.0
    for _ in range(3):
        given_up_s = LINUX_6_5.request(given_up_s).gives_up_s
    assert simulated(story, addresses=3, **options) == given_up_s == pytest.approx(3 * 134, abs=5)


def test_a_refusing_compute_refuses_and_an_answering_one_says_its_error() -> None:
    async def story(server: SimulatedPostgres) -> str:
        server.suspend()
        try:
            await connect()
        except (OSError, asyncpg.PostgresError) as error:
            return type(error).__name__
        return "connected"

    assert simulated(story, **asleep(while_waking="refuse")) == "ConnectionRefusedError"
    assert simulated(story, **asleep(while_waking="error")) == "InternalServerError"


def test_terminate_says_57p01_to_a_statement_under_way() -> None:
    async def story(server: SimulatedPostgres) -> str | None:
        connection = await connect()
        asking = asyncio.ensure_future(connection.fetchval("SELECT pg_sleep($1)", 60.0))
        await asyncio.sleep(1)
        server.sessions[0].terminate(ErrorResponse("FATAL", "57P01", "terminating connection"))
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as raised:
            await asking
        error: BaseException | None = raised.value
        while error is not None and not isinstance(error, asyncpg.AdminShutdownError):
            error = error.__cause__
        return None if error is None else error.sqlstate

    assert simulated(story) == "57P01"


def test_it_suspends_by_itself_when_nothing_happens() -> None:
    async def story(server: SimulatedPostgres) -> list[str]:
        connection = await connect()
        states = []
        for _ in range(3):
            await asyncio.sleep(200)
            await connection.fetchval("SELECT 1")
            states.append(server.state.value)
        await asyncio.sleep(299)
        states.append(server.state.value)
        await asyncio.sleep(2)
        return [*states, server.state.value]

    behaviour = profile("neon").behaviour(suspends_by_itself=True)
    assert simulated(story, behaviour=behaviour) == ["active"] * 4 + ["suspended"]
