"""The queue listener on a real PostgreSQL: what it hears, and how it loses its connection and gets another."""

import asyncio
from itertools import islice

import asyncpg
import pytest

from harness.model.listener import QueueListener
from harness.model.rows import ListenerEvent
from harness.model.wake import profile
from harness.postgres import PostgresServer
from harness.processes.messages import ProxyReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient, compute_of
from harness.service.listener import listening

pytestmark = pytest.mark.anyio

QUICK = QueueListener(
    heartbeat_every_s=0.05, heartbeat_limit_s=0.3, connect_timeout_s=0.5, backoff_first_s=0.1, backoff_max_s=0.3
)


class Heard(asyncio.Queue[ListenerEvent]):
    """What a listener says, one after the other."""

    async def next(self, *names: str) -> list[ListenerEvent]:
        """The next events, which must have these names."""
        events = [await asyncio.wait_for(self.get(), 20) for _ in names]
        assert [event.event for event in events] == [f"listener_{name}" for name in names]
        return events


def url(postgres: PostgresServer) -> str:
    return postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")


async def backends(connection: "asyncpg.Connection[asyncpg.Record]") -> set[int]:
    rows = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
    return {row["pid"] for row in rows}


async def test_it_hears_a_notification_through_the_loss_of_its_connection_and_leaves_nothing_behind(
    postgres: PostgresServer,
) -> None:
    heard = Heard()
    other = await asyncpg.connect(postgres.dsn, ssl=False)
    before = await backends(other)
    async with listening(QueueListener(heartbeat_every_s=0.05, channel="plays"), url(postgres), heard.put_nowait):
        await heard.next("connected")
        await other.execute("NOTIFY plays, 'one'")
        (notified,) = await heard.next("notified")
        assert notified.detail == {"payload": "one"}
        (backend,) = await backends(other) - before
        await other.execute(f"SELECT pg_terminate_backend({backend})")
        failed, *_, again = await heard.next("heartbeat_failed", "disconnected", "reconnecting", "connected")
        assert failed.detail["error"] in {"InterfaceError", "ConnectionDoesNotExistError", "AdminShutdownError"}
        assert again.detail == {"attempt": 1}
        await other.execute("NOTIFY plays, 'two'")
        (notified,) = await heard.next("notified")
        assert notified.detail == {"payload": "two"}
    while await backends(other) - before:
        await asyncio.sleep(0.01)
    await other.close()
    assert heard.empty()


async def test_on_a_frozen_connection_it_gives_up_at_its_limit_and_tries_until_the_wake(
    postgres: PostgresServer, proxy_process: Child
) -> None:
    heard = Heard()
    async with ProxyClient((await proxy_process.next_record(ProxyReady)).port) as client:
        wake = profile("neon").with_changes(on_suspend="freeze", while_waking="hold")
        compute = compute_of(wake, wake_latencies_s=[2.0], suspends_by_itself=False)
        host, port = await client.create("p", upstream=f"127.0.0.1:{postgres.port}", compute=compute)
        async with listening(QUICK, postgres.dsn_at(host, port, driver="postgresql+asyncpg"), heard.put_nowait):
            await heard.next("connected")
            await client.suspend("p")
            failed, _, first = await heard.next("heartbeat_failed", "disconnected", "reconnecting")
            events = [first]
            while events[-1].event != "listener_connected":
                events.append(await asyncio.wait_for(heard.get(), 20))
        await client.remove("p")
    assert failed.detail == {"error": "TimeoutError"}
    assert failed.value_s == pytest.approx(0.3, abs=0.2)
    attempts = [event for event in events if event.event == "listener_connect_failed"]
    assert [event.detail for event in attempts] == [
        {"attempt": number, "error": "TimeoutError"} for number in range(1, len(attempts) + 1)
    ]
    assert len(attempts) >= 2
    assert [event.value_s for event in attempts] == pytest.approx([0.5] * len(attempts), abs=0.2)
    waits = [event.value_s for event in events if event.event == "listener_reconnecting"]
    assert waits == [0.0, *islice(QUICK.backoffs_s(), len(attempts))]
    # From the drop to the wake it was one attempt after the other.
    assert events[-1].at_s - events[0].at_s == pytest.approx(2.0, abs=0.7)


async def test_nobody_listens_where_no_listener_is_asked_for(postgres: PostgresServer) -> None:
    heard = Heard()
    async with listening(None, url(postgres), heard.put_nowait):
        await asyncio.sleep(0.05)
    assert heard.empty()
