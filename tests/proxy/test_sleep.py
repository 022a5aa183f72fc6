"""A compute that sleeps in front of a real PostgreSQL: what its clients meet, and that the wake is on time."""

import asyncio
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from harness.postgres import PostgresServer
from tests.proxy.wire import PATIENCE_S, Events, OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.quiet]

LATE_S = 0.05
"""What a wake may be late by, at every step."""
QUIET_S = 0.3
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
STARTUP = struct.pack("!ii", 17, 196608) + b"user\0me\0\0"
NO_SSL = b"N"
AUTHENTICATION = b"R"
WHILE_WAKING = ["hold", "refuse", "error", *(["drop"] if sys.platform == "linux" else [])]
Session = asyncpg.Connection


class Sleeper:
    """A proxy with a compute in front of PostgreSQL, and a way around it."""

    def __init__(self, proxy: ProxyUnderTest, events: Events, postgres: PostgresServer, direct: Session) -> None:
        self.proxy = proxy
        self.events = events
        self._postgres = postgres
        self._direct = direct

    async def connect(self) -> Session:
        dsn = self._postgres.dsn_at("127.0.0.1", self.proxy.port)
        return await asyncpg.connect(dsn, timeout=PATIENCE_S, server_settings={"application_name": "behind the proxy"})

    async def peer(self) -> Peer:
        """A connection that PostgreSQL has answered once, as plain bytes."""
        peer = await self.proxy.connect()
        await peer.send(SSL_REQUEST)
        assert await peer.receive(1) == NO_SSL
        return peer

    async def suspend(self) -> None:
        await self.proxy.suspend()
        await self.events.next("suspended")

    async def sessions(self, state: str = "%") -> int:
        """How many sessions PostgreSQL has through the proxy."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'behind the proxy' AND state LIKE $1"
        count: int = await self._direct.fetchval(query, state)
        return count

    async def backends(self) -> int:
        """How many backends PostgreSQL has forked for clients."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        count: int = await self._direct.fetchval(query)
        return count

    async def has_sessions(self, count: int, state: str = "%") -> None:
        """Wait until there are this many."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.sessions(state) != count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def sleeping(ours: OurServer, postgres: PostgresServer, **compute: object) -> AsyncIterator[Sleeper]:
    direct = await asyncpg.connect(postgres.dsn)
    try:
        upstream = f"{postgres.host}:{postgres.port}"
        proxy = await ProxyUnderTest.create(ours.http, upstream, compute={"wake_latency_s": 0.4, **compute})
        async with ours.events() as events:
            sleeper = Sleeper(proxy, events, postgres, direct)
            yield sleeper
        await ours.http.delete("/proxies/db")
        await sleeper.has_sessions(0)
    finally:
        await direct.close()


async def test_close_ends_open_connections_with_fin_and_without_a_word(
    ours: OurServer, postgres: PostgresServer
) -> None:
    async with sleeping(ours, postgres, on_suspend="close") as sleeper:
        with await sleeper.peer() as peer:
            await sleeper.suspend()
            assert await peer.until_end() == b""


async def test_terminate_ends_open_connections_with_57p01_and_fin(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, on_suspend="terminate") as sleeper:
        with await sleeper.peer() as peer:
            await sleeper.suspend()
            said = await peer.until_end()
    assert said[:1] == b"E"
    assert struct.unpack("!i", said[1:5])[0] == len(said) - 1
    fields = said[5:].split(b"\0")
    assert b"SFATAL" in fields
    assert b"C57P01" in fields
    assert b"Mterminating connection due to administrator command" in fields


async def test_reset_ends_open_connections_with_rst(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, on_suspend="reset") as sleeper:
        with await sleeper.peer() as peer:
            await sleeper.suspend()
            assert await peer.ended() == "rst"


@pytest.mark.parametrize(
    ("on_suspend", "cause"),
    [("close", type(None)), ("terminate", asyncpg.AdminShutdownError), ("reset", ConnectionResetError)],
)
async def test_a_statement_under_way_at_the_suspend_fails_as_its_ending_says(
    ours: OurServer, postgres: PostgresServer, on_suspend: str, cause: type
) -> None:
    async with sleeping(ours, postgres, on_suspend=on_suspend) as sleeper:
        session = await sleeper.connect()
        statement = asyncio.create_task(session.fetchval("SELECT pg_sleep(1)"))
        await sleeper.has_sessions(1, "active")
        await sleeper.suspend()
        with pytest.raises(asyncpg.ConnectionDoesNotExistError) as failed:
            await asyncio.wait_for(statement, 0.9)
        assert type(failed.value.__cause__) is cause


@pytest.mark.parametrize(
    "on_suspend", ["close", "terminate", "reset", "freeze", *(["vanish"] if sys.platform == "linux" else [])]
)
async def test_after_a_suspend_postgresql_has_no_session_left(
    ours: OurServer, postgres: PostgresServer, on_suspend: str
) -> None:
    async with sleeping(ours, postgres, on_suspend=on_suspend) as sleeper:
        sessions = [await sleeper.connect() for _ in range(5)]
        assert await sleeper.sessions() == 5
        await sleeper.suspend()
        await sleeper.has_sessions(0)
        assert await sleeper.proxy.state() == "suspended"
        for session in sessions:
            session.terminate()


async def test_freeze_says_nothing_and_takes_nothing_even_after_the_wake(
    ours: OurServer, postgres: PostgresServer
) -> None:
    async with sleeping(ours, postgres, on_suspend="freeze") as sleeper:
        with await sleeper.peer() as peer:
            session = await sleeper.connect()
            await sleeper.suspend()
            await peer.send(SSL_REQUEST)
            statement = asyncio.create_task(session.fetchval("SELECT 1"))
            assert await peer.is_silent_for(QUIET_S)
            assert await sleeper.proxy.state() == "suspended"
            other = await sleeper.connect()
            assert await other.fetchval("SELECT 2") == 2
            await peer.send(SSL_REQUEST)
            assert await peer.is_silent_for(QUIET_S)
            assert not statement.done()
            await other.close()
            session.terminate()
            with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                await statement


async def test_a_frozen_client_that_gives_up_is_closed(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, on_suspend="freeze") as sleeper:
        peer = await sleeper.peer()
        await sleeper.suspend()
        peer.close()
        assert (await sleeper.events.next("closed"))["bytes"] == {"upstream": 8, "downstream": 1}
        assert await sleeper.proxy.state() == "suspended"


async def test_keep_answers_what_a_client_sends_after_the_wake_that_it_started(
    ours: OurServer, postgres: PostgresServer
) -> None:
    async with sleeping(ours, postgres, on_suspend="keep") as sleeper:
        session, idle = await sleeper.connect(), await sleeper.connect()
        pids = {session.get_server_pid(), idle.get_server_pid()}
        await sleeper.suspend()
        assert await sleeper.sessions() == 2
        began_at_s = time.monotonic()
        assert await session.fetchval("SELECT pg_backend_pid()") in pids
        took_s = time.monotonic() - began_at_s
        first = await sleeper.events.next("first_attempt")
        assert first["at_s"] - began_at_s < LATE_S
        assert took_s >= 0.39
        await assert_on_time(sleeper.events, released=2)
        assert await idle.fetchval("SELECT pg_backend_pid()") in pids
        for one in (session, idle):
            await one.close()


async def test_keep_sleeps_on_while_nobody_sends_anything(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, on_suspend="keep") as sleeper:
        with await sleeper.peer() as peer:
            await sleeper.suspend()
            assert await peer.is_silent_for(0.6)
            assert await sleeper.proxy.state() == "suspended"
            await peer.send(STARTUP)
            assert await peer.receive(1) == AUTHENTICATION


async def assert_on_time(events: Events, *, released: int) -> None:
    """The wake came as planned, and every held connection went on with it."""
    woken = await events.next("woken")
    assert 0 <= woken["at_s"] - woken["planned_at_s"] < LATE_S
    late_s = [(await events.next("released"))["late_s"] for _ in range(released)]
    assert all(0 <= late < LATE_S for late in late_s), late_s


async def test_hold_is_silent_until_the_planned_wake_and_then_lets_everybody_through(
    ours: OurServer, postgres: PostgresServer
) -> None:
    async with sleeping(ours, postgres, while_waking="hold") as sleeper:
        await sleeper.suspend()
        before = await sleeper.backends()
        with await sleeper.proxy.connect() as held:
            await held.send(SSL_REQUEST)
            assert await held.is_silent_for(0.2)
            assert await sleeper.backends() == before
            assert await held.receive(1) == NO_SSL
        await sleeper.suspend()
        began_at_s = time.monotonic()
        sessions = await asyncio.gather(*(sleeper.connect() for _ in range(10)))
        first = await sleeper.events.next("first_attempt")
        assert 0 <= first["at_s"] - began_at_s < LATE_S
        assert first["ready_at_s"] == pytest.approx(first["at_s"] + 0.4)
        assert time.monotonic() >= first["ready_at_s"]
        await assert_on_time(sleeper.events, released=10)
        assert await sleeper.sessions() == 10
        for session in sessions:
            await session.close()


async def test_a_new_connection_after_the_wake_is_not_held(ours: OurServer, postgres: PostgresServer) -> None:
    # A second wake would take longer than anybody waits.
    async with sleeping(ours, postgres, wake_latency_s=[0.1, 600]) as sleeper:
        await sleeper.suspend()
        for _ in range(2):
            await (await sleeper.connect()).close()
        assert await sleeper.proxy.state() == "active"


async def test_a_suspend_while_asleep_or_waking_changes_nothing(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres) as sleeper:
        await sleeper.suspend()
        await sleeper.proxy.suspend()
        with await sleeper.proxy.connect() as held:
            planned_at_s = (await sleeper.events.next("first_attempt"))["ready_at_s"]
            await sleeper.proxy.suspend()
            await held.send(SSL_REQUEST)
            assert await held.receive(1) == NO_SSL
            assert (await sleeper.events.next("woken"))["planned_at_s"] == planned_at_s
        names = [event["event"] for event in sleeper.events.seen]
        assert names.count("suspended") == 1


async def test_each_wake_has_its_own_latency_and_the_last_one_goes_on(
    ours: OurServer, postgres: PostgresServer
) -> None:
    async with sleeping(ours, postgres, wake_latency_s=[0.3, 0.1]) as sleeper:
        latencies_s = []
        for _ in range(3):
            await sleeper.suspend()
            await (await sleeper.connect()).close()
            first = await sleeper.events.next("first_attempt")
            latencies_s.append(first["ready_at_s"] - first["at_s"])
        assert latencies_s == pytest.approx([0.3, 0.1, 0.1])


async def test_refuse_resets_the_first_attempt_and_refuses_the_others_until_the_wake(
    ours: OurServer, postgres: PostgresServer
) -> None:
    async with sleeping(ours, postgres, while_waking="refuse") as sleeper:
        await sleeper.suspend()
        began_at_s = time.monotonic()
        with pytest.raises(ConnectionResetError):
            await meets_its_end(sleeper.proxy)
        seen = await sleeper.events.next("first_attempt")
        assert seen["at_s"] - began_at_s < LATE_S
        refusals = 0
        while (session := await connected_or_refused(sleeper)) is None:
            refusals += 1
            await asyncio.sleep(0.01)
        assert time.monotonic() >= seen["ready_at_s"]
        assert refusals > 5
        woken = await sleeper.events.next("woken")
        assert 0 <= woken["at_s"] - woken["planned_at_s"] < LATE_S
        assert await session.fetchval("SELECT 1") == 1
        await session.close()


async def meets_its_end(proxy: ProxyUnderTest) -> None:
    """Connect and read: an RST is seen at one of the two."""
    with await proxy.connect() as client:
        await client.until_end()


async def connected_or_refused(sleeper: Sleeper) -> Session | None:
    try:
        return await sleeper.connect()
    except ConnectionRefusedError:
        return None


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (None, asyncpg.InternalServerError, "Couldn't connect to compute node"),
        (
            {"severity": "FATAL", "sqlstate": "57P03", "message": "the database system is starting up"},
            asyncpg.CannotConnectNowError,
            "the database system is starting up",
        ),
    ],
)
async def test_error_answers_the_startup_message_until_the_wake(
    ours: OurServer, postgres: PostgresServer, error: object, raised: type[Exception], message: str
) -> None:
    async with sleeping(ours, postgres, while_waking="error", error=error) as sleeper:
        await sleeper.suspend()
        before = await sleeper.backends()
        began_at_s = time.monotonic()
        with pytest.raises(raised, match=message):
            await sleeper.connect()
        first = await sleeper.events.next("first_attempt")
        assert first["at_s"] - began_at_s < LATE_S
        with pytest.raises(raised, match=message):
            await sleeper.connect()
        assert time.monotonic() < first["ready_at_s"]
        assert await sleeper.backends() == before
        await sleeper.events.next("woken")
        await (await sleeper.connect()).close()


async def test_error_declines_encryption_first_and_closes_with_fin(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, while_waking="error") as sleeper:
        await sleeper.suspend()
        with await sleeper.proxy.connect() as client:
            await client.send(SSL_REQUEST)
            assert await client.receive(1) == NO_SSL
            for byte in STARTUP:
                await client.send(bytes([byte]))
            said = await client.until_end()
    assert said[:1] == b"E"
    assert b"CXX000" in said[5:].split(b"\0")


if sys.platform == "linux":

    async def test_drop_gives_connection_requests_no_answer_until_the_wake(
        ours: OurServer, postgres: PostgresServer
    ) -> None:
        async with sleeping(ours, postgres, while_waking="drop", wake_latency_s=0.8) as sleeper:
            await sleeper.suspend()
            with pytest.raises(TimeoutError):
                await Peer.to(sleeper.proxy.port, patience_s=0.4)
            assert await sleeper.proxy.state() == "waking"

    async def test_drop_lets_a_client_in_by_the_retransmission_after_the_wake(
        ours: OurServer, postgres: PostgresServer
    ) -> None:
        async with sleeping(ours, postgres, while_waking="drop") as sleeper:
            await sleeper.suspend()
            began_at_s = time.monotonic()
            sessions = await asyncio.gather(*(sleeper.connect() for _ in range(3)))
            first = await sleeper.events.next("first_attempt")
            assert 0 <= first["at_s"] - began_at_s < LATE_S
            woken = await sleeper.events.next("woken")
            assert 0 <= woken["at_s"] - woken["planned_at_s"] < LATE_S
            # A kernel sends a request again after one second, not before.
            assert time.monotonic() - began_at_s >= 0.9
            for session in sessions:
                assert await session.fetchval("SELECT 1") == 1
                await session.close()

    async def test_drop_can_sleep_and_wake_again_and_again(ours: OurServer, postgres: PostgresServer) -> None:
        async with sleeping(ours, postgres, while_waking="drop", wake_latency_s=0.05) as sleeper:
            for _ in range(3):
                await sleeper.suspend()
                session = await sleeper.connect()
                assert await session.fetchval("SELECT 1") == 1
                await session.close()
                await sleeper.events.next("woken")


async def test_clients_that_left_while_held_are_forgotten(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres) as sleeper:
        await sleeper.suspend()
        before = await sleeper.backends()
        leaving = [await sleeper.proxy.connect() for _ in range(10)]
        for number, peer in enumerate(leaving):
            await peer.send(STARTUP)
            if number % 2:
                peer.reset()
            else:
                peer.close()
        for _ in leaving:
            assert (await sleeper.events.next("closed"))["bytes"] == {"upstream": 0, "downstream": 0}
        session = await sleeper.connect()
        await assert_on_time(sleeper.events, released=1)
        assert await sleeper.backends() == before + 1
        assert not [event for event in sleeper.events.seen if event["event"] == "dial_failed"]
        await session.close()


async def test_only_clients_that_stayed_are_dialled_at_the_wake(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 0.5})
    await proxy.suspend()
    async with ours.events() as events:
        leaving = [await proxy.connect() for _ in range(20)]
        with await proxy.connect() as staying:
            await staying.send(b"early")
            for peer in leaving:
                peer.close()
            for _ in leaving:
                await events.next("closed")
            assert echo.count == 0
            assert await staying.receive(5) == b"early"
            assert await staying.is_silent_for(QUIET_S)
            assert echo.count == 1


async def test_much_that_a_held_client_sends_early_arrives_whole_after_the_wake(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 0.3})
    await proxy.suspend()
    data = b"".join(b"%06d" % number for number in range(200_000))
    with await proxy.connect() as client:
        _, received = await asyncio.gather(client.send(data), client.receive(len(data)))
    assert received == data


async def test_it_suspends_by_itself_after_its_time_without_activity(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, suspend_after_s=0.5, on_suspend="close") as sleeper:
        session = await sleeper.connect()
        # Longer than the idle time: a statement under way is activity.
        await session.execute("SELECT pg_sleep(0.8)")
        idle_from_s = time.monotonic()
        suspended = await sleeper.events.next("suspended")
        assert 0.45 <= suspended["at_s"] - idle_from_s < 0.5 + LATE_S
        session.terminate()


async def test_an_open_transaction_keeps_it_awake(ours: OurServer, postgres: PostgresServer) -> None:
    async with sleeping(ours, postgres, suspend_after_s=0.3, on_suspend="close") as sleeper:
        session = await sleeper.connect()
        await session.execute("BEGIN")
        open_from_s = time.monotonic()
        with await sleeper.peer() as silent:
            assert await silent.is_silent_for(0.8)
        assert await sleeper.proxy.state() == "active"
        await session.execute("COMMIT")
        idle_from_s = time.monotonic()
        suspended = await sleeper.events.next("suspended")
        while suspended["at_s"] < open_from_s:
            # On a busy machine it has slept once already, before anybody had connected.
            suspended = await sleeper.events.next("suspended")
        assert suspended["at_s"] - idle_from_s >= 0.25
        session.terminate()


async def test_open_connections_can_keep_it_awake(ours: OurServer, postgres: PostgresServer) -> None:
    compute = {"suspend_after_s": 0.3, "open_connections_prevent_suspend": True}
    async with sleeping(ours, postgres, **compute) as sleeper:
        session = await sleeper.connect()
        await session.fetchval("SELECT pg_sleep(0)")
        with await sleeper.peer() as peer:
            assert await peer.is_silent_for(0.8)
        assert await sleeper.proxy.state() == "active"
        await session.close()
        await sleeper.events.next("suspended")


async def test_a_proxy_removed_while_it_wakes_closes_what_it_holds(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 60})
    await proxy.suspend()
    with await proxy.connect() as held:
        await held.send(b"x")
        assert await held.is_silent_for(QUIET_S)
        assert (await ours.http.delete("/proxies/db")).status_code == 204
        assert await held.ended() in ("fin", "rst")
    assert echo.count == 0


async def test_terminate_reaches_everybody_though_one_upstream_has_half_closed(
    ours: OurServer, upstream: Upstream
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address, compute={"on_suspend": "terminate"})
    with await proxy.connect() as client:
        (await upstream.accepted()).half_close()
        assert await client.until_end() == b""
        with await proxy.connect() as other:
            await upstream.accepted()
            await proxy.suspend()
            assert (await other.until_end())[:1] == b"E"


async def test_a_connection_kept_before_its_dial_was_through_does_not_break_the_wake(ours: OurServer) -> None:
    compute = {"on_suspend": "keep", "wake_latency_s": 0.2}
    async with unanswering() as port:
        proxy = await ProxyUnderTest.create(ours.http, f"127.0.0.1:{port}", compute=compute)
        async with ours.events() as events:
            with await proxy.connect():
                await events.next("accepted")
                await proxy.suspend()
                with await proxy.connect():
                    await events.next("woken")
                    assert await proxy.state() == "active"
    assert ours.child.log.read_text() == ""


@pytest.mark.parametrize("dialled", [False, True])
async def test_what_an_earlier_compute_froze_stays_so_under_another_that_keeps_connections(
    ours: OurServer, echo: Upstream, dialled: bool
) -> None:
    freezing, keeping = ({"on_suspend": how, "wake_latency_s": 0.2} for how in ("freeze", "keep"))
    async with unanswering() as port:
        upstream = echo.address if dialled else f"127.0.0.1:{port}"
        proxy = await ProxyUnderTest.create(ours.http, upstream, compute=freezing)
        async with ours.events() as events:
            with await proxy.connect() as frozen:
                await events.next("accepted")
                if dialled:
                    await frozen.round_trip()
                await proxy.suspend()
                assert (await ours.http.put("/coldstart/proxies/db/compute", json=keeping)).status_code == 200
                await proxy.suspend()
                await frozen.send(b"anybody there?")
                assert await frozen.is_silent_for(QUIET_S)
                assert await proxy.state() == "suspended"
                with await proxy.connect():
                    await events.next("first_attempt")
                    await events.next("woken")
                    assert await frozen.is_silent_for(QUIET_S)
    assert ours.child.log.read_text() == ""


@asynccontextmanager
async def unanswering() -> AsyncIterator[int]:
    """A port whose accept queue is full: connection requests get no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with await Peer.to(port):
            yield port


@pytest.mark.parametrize("while_waking", WHILE_WAKING)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_compute_that_is_replaced_or_taken_away_lets_everybody_through(
    ours: OurServer, echo: Upstream, while_waking: str, method: str
) -> None:
    compute = {"while_waking": while_waking, "wake_latency_s": 600}
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute=compute)
    async with ours.events() as events:
        await proxy.suspend()
        first = asyncio.create_task(one_round_trip(proxy))
        await events.next("first_attempt")
        body: dict[str, object] | None = {} if method == "PUT" else None
        assert (await ours.http.request(method, "/coldstart/proxies/db/compute", json=body)).is_success
        assert await one_round_trip(proxy)
        assert await first is (while_waking in ("hold", "drop"))


async def one_round_trip(proxy: ProxyUnderTest) -> bool:
    """Whether a client gets through within seconds."""
    try:
        with await Peer.to(proxy.port, patience_s=5) as client:
            await asyncio.wait_for(client.round_trip(), 5)
    except (OSError, AssertionError, TimeoutError):
        return False
    return True


@pytest.mark.parametrize("while_waking", WHILE_WAKING)
async def test_a_disabled_proxy_can_be_suspended(ours: OurServer, while_waking: str) -> None:
    compute = {"while_waking": while_waking}
    proxy = await ProxyUnderTest.create(ours.http, "127.0.0.1:1", enabled=False, compute=compute)
    await proxy.suspend()
    assert await proxy.state() == "suspended"


@pytest.mark.parametrize("while_waking", WHILE_WAKING)
async def test_a_proxy_disabled_at_its_wake_works_when_it_is_enabled_again(
    ours: OurServer, echo: Upstream, while_waking: str
) -> None:
    compute = {"while_waking": while_waking, "wake_latency_s": 0.3}
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute=compute)
    async with ours.events() as events:
        await proxy.suspend()
        attempt = asyncio.create_task(one_round_trip(proxy))
        await events.next("first_attempt")
        await proxy.set_enabled(False)
        await events.next("woken")
        await proxy.set_enabled(True)
        assert await one_round_trip(proxy)
        await attempt
    assert ours.child.log.read_text() == ""
