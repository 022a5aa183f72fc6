"""The queue listener on a real PostgreSQL: it hears what others say, and finds its way back."""

import asyncio
from typing import Any

import asyncpg
import pytest

from harness.listener import QueueListener
from harness.postgres import PostgresServer
from harness.service.queue_listener import ListenerAtWork

pytestmark = pytest.mark.anyio

QUICK = QueueListener(heartbeat_every_s=0.05, heartbeat_limit_s=0.3, connect_timeout_s=2.0, backoff_first_s=0.05)


async def test_it_hears_notifications_and_reconnects_when_its_session_is_ended(postgres: PostgresServer) -> None:
    events: list[str] = []

    def said(event: str, **_: Any) -> None:
        events.append(event)

    at_work = ListenerAtWork(postgres.dsn, QUICK, said=said)
    running = asyncio.create_task(at_work.run())
    other = await asyncpg.connect(postgres.dsn, ssl=False)
    for payload in ("one", "two"):
        await asyncio.wait_for(at_work.connected.wait(), 10)
        await other.execute(f"NOTIFY queue, '{payload}'")
        async with asyncio.timeout(10):
            while payload not in at_work.heard:
                await asyncio.sleep(0.01)
        at_work.connected.clear()
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                            " OR (query = 'SELECT 1' AND pid <> pg_backend_pid())")  # fmt: skip
    running.cancel()
    await asyncio.wait([running])
    await other.close()
    again = ["listener_heartbeat_failed", "listener_disconnected", "listener_reconnecting", "listener_connected"]
    assert events[:7] == ["listener_connected", "listener_notified", *again, "listener_notified"]


async def test_nobody_there_is_said_with_every_attempt() -> None:
    waits: list[float] = []

    def said(event: str, *, value_s: float | None = None, **detail: Any) -> None:
        if event == "listener_reconnecting":
            assert value_s is not None
            waits.append(value_s)
        else:
            assert (event, detail["error"]) == ("listener_connect_failed", "ConnectionRefusedError")

    at_work = ListenerAtWork("postgresql://nobody@127.0.0.1:1/nothing", QUICK, said=said)
    running = asyncio.create_task(at_work.run())
    async with asyncio.timeout(10):
        while len(waits) < 3:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert waits[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert not at_work.connected.is_set()
