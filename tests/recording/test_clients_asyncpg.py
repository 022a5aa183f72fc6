"""asyncpg on PostgreSQL through the recorder, then the same code in virtual time: the same results."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from harness.postgres import PostgresServer
from harness.processes.cpu import cpu_s_of
from harness.recording import Recorder
from tests.recording.tap import NOW, Client, Place, listened_to, recorded, replayed

pytestmark = pytest.mark.anyio

SCHEMA = """
DROP TABLE IF EXISTS things; DROP TYPE IF EXISTS mood;
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TABLE things (id int PRIMARY KEY, name text, mood mood, tags text[], facts jsonb, at timestamptz, cost numeric);
"""
ADD = "INSERT INTO things VALUES ($1, $2, $3, $4, $5, now(), $6) RETURNING id, name, mood, tags, facts, cost"


@asynccontextmanager
async def connected(place: Place, **options: Any) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(place.dsn, ssl=False, **options)
    try:
        yield connection
    finally:
        await connection.close()


async def everything(place: Place, **options: Any) -> Any:
    found = []
    async with connected(place, **options) as connection:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        for number in (1, 2, 3):
            row = await connection.fetchrow(ADD, number, f"thing {number}", "wild", ["a", "b,c"], {"n": number}, 1)
            found.append(dict(row))
        found.append([dict(row) for row in await connection.fetch("SELECT * FROM things WHERE id = $1", 2)])
        found.append(await connection.fetchval("SELECT count(*) FROM things"))
        found.append(await connection.fetchval("SELECT name FROM things WHERE id = $1", 77))
        found.append(await connection.fetch("SELECT id FROM things WHERE id = ANY($1::int[]) ORDER BY id", [1, 3]))
        found.append(await connection.execute("UPDATE things SET name = name; SELECT 1; SHOW server_version"))
        found.append(await connection.executemany("UPDATE things SET name = $2 WHERE id = $1", [(1, "x"), (2, "y")]))
        found.append(connection.get_settings().server_version)
    return [[dict(one) for one in row] if isinstance(row, list) else row for row in found]


async def without_caches(place: Place) -> Any:
    return await everything(place, statement_cache_size=0)


async def transactions(place: Place) -> Any:
    found: list[Any] = []
    async with connected(place) as connection:
        async with connection.transaction():
            await connection.execute("INSERT INTO things (id) VALUES (10)")
            with pytest.raises(asyncpg.UniqueViolationError) as raised:
                async with connection.transaction():
                    await connection.execute("INSERT INTO things (id) VALUES ($1)", 10)
            found.append((raised.value.detail, raised.value.constraint_name, str(raised.value)))
            found.append(await connection.fetchval("SELECT count(*) FROM things WHERE id = 10"))
        with pytest.raises(asyncpg.UndefinedTableError) as missing:
            await connection.fetch("SELECT * FROM nothing WHERE id = $1", 1)
        found.append(missing.value.message)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetch("SELECT 1 / $1::int", 0)
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute("SELEKT 1")
    return found


async def cursors(place: Place) -> Any:
    async with connected(place) as connection, connection.transaction():
        by_itself = [row["n"] async for row in connection.cursor("SELECT generate_series(1, 120) AS n", prefetch=50)]
        cursor = await connection.cursor("SELECT generate_series(1, $1::int) AS n", 30)
        steps = [[row["n"] for row in await cursor.fetch(12)] for _ in range(4)]
        await connection.execute("DECLARE mine CURSOR FOR SELECT generate_series(1, 5) AS n")
        fetched = [row["n"] for row in await connection.fetch("FETCH 2 FROM mine")]
        fetched += [row["n"] for row in await connection.fetch("FETCH ALL FROM mine")]
        await connection.execute("CLOSE mine")
        return by_itself, steps, fetched


async def a_pool_at_once(place: Place) -> Any:
    async with asyncpg.create_pool(place.dsn, ssl=False, min_size=3, max_size=3) as pool:
        return await asyncio.gather(*[pool.fetchval("SELECT $1::int * 2", number) for number in range(30)])


async def channels(place: Place) -> Any:
    heard: list[Any] = []
    async with connected(place) as listener, connected(place) as speaker:
        await listener.add_listener("news", lambda _c, _p, channel, payload: heard.append((channel, payload)))
        await speaker.execute("NOTIFY news, 'hello'")
        while not heard:
            await asyncio.sleep(0.01)
    return heard


async def test_what_a_backend_computes_is_measured(postgres: PostgresServer) -> None:
    heavy, light = "SELECT count(*) FROM generate_series(1, 300000)", "SELECT pg_sleep(0.1)"

    async def client(place: Place) -> None:
        async with connected(place) as connection:
            for _ in range(3):
                await connection.fetchval(heavy)
                await connection.fetchval(light)

    async with listened_to(postgres, Recorder(cpu_s_of=cpu_s_of)) as (place, recorder):
        await client(place)
        recording = recorder.recording(app="app:app", recorded_at=NOW, cores=2)
    of = {statement.sql: statement for statement in recording.statements}
    assert recording.connect_cpu is not None
    assert 0.0003 < recording.connect_cpu.median < 0.1
    assert all(statement.seconds and statement.cpu and statement.first_cpu for statement in (of[heavy], of[light]))
    # Counting computes all the time that it takes, and sleeping none.
    assert 0.005 < of[heavy].cpu.median < of[heavy].seconds.median * 1.1  # type: ignore[union-attr] # just asserted
    assert of[light].cpu.median < 0.01  # type: ignore[union-attr] # just asserted
    assert of[light].seconds.median > 0.1  # type: ignore[union-attr] # just asserted


@pytest.mark.parametrize(
    "client",
    [everything, without_caches, transactions, cursors, a_pool_at_once, channels],
    ids=lambda one: one.__name__,
)
async def test_asyncpg_gets_the_same_from_the_recording(client: Client, postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute(SCHEMA)
    await connection.close()
    got, recording = await recorded(postgres, client)
    again, server = await asyncio.to_thread(replayed, recording, client)
    assert again == got
    assert server.replay is not None
    counts = server.replay.counts
    assert (counts.by_shape, counts.last, counts.missed, counts.missed_texts) == (0, 0, 0, {})
    assert counts.exact > 0 or client is channels
    assert not recording.notes
