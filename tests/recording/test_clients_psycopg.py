"""psycopg on PostgreSQL through the recorder, then the same code in virtual time: the same results."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from harness.postgres import PostgresServer
from tests.recording.tap import Client, Place, recorded, replayed

pytestmark = pytest.mark.anyio

SCHEMA = """
DROP TABLE IF EXISTS parts; DROP TYPE IF EXISTS state;
CREATE TYPE state AS ENUM ('new', 'old');
CREATE TABLE parts (id bigint PRIMARY KEY, name text, state state, tags text[], facts jsonb, cost numeric);
"""


async def everything(place: Place) -> Any:
    found: list[Any] = []
    async with await place.psycopg.connect(place.dsn, row_factory=dict_row) as connection:
        for number in (1, 2, 70_000):
            cursor = await connection.execute(
                "INSERT INTO parts VALUES (%s, %s, %s, %s, %s, %s) RETURNING *",
                (number, f"part {number}", "new", ["a", "b"], Jsonb({"n": number}), 1.5),
            )
            found.append(await cursor.fetchone())
        await connection.commit()
        for number in (1, 2, 70_000) * 3:
            # Often enough for psycopg to prepare it.
            cursor = await connection.execute("SELECT * FROM parts WHERE id = %s", (number,))
            found.append(await cursor.fetchall())
        found.append(await (await connection.execute("SELECT count(*) FROM parts")).fetchone())
        cursor = await connection.execute("SELECT * FROM parts WHERE id = %s", (1,), binary=True)
        found.append(await cursor.fetchall())
        found.append((cursor.statusmessage, cursor.rowcount, [column.name for column in cursor.description or ()]))
    return found


async def transactions(place: Place) -> Any:
    found: list[Any] = []
    async with await place.psycopg.connect(place.dsn) as connection:
        async with connection.transaction():
            await connection.execute("INSERT INTO parts (id) VALUES (%s)", (10,))
            with pytest.raises(psycopg.errors.UniqueViolation) as raised:
                async with connection.transaction():
                    await connection.execute("INSERT INTO parts (id) VALUES (%s)", (10,))
            found.append((raised.value.diag.message_detail, raised.value.diag.constraint_name))
        with pytest.raises(psycopg.errors.UndefinedTable) as missing:
            await connection.execute("SELECT * FROM nothing")
        found.append(str(missing.value))
        await connection.rollback()
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 1 / %s::int", (0,))
        await connection.rollback()
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await connection.execute("SELECT %s::int", ("no number",))
    return found


async def cursors(place: Place) -> Any:
    found: list[Any] = []
    async with await place.psycopg.connect(place.dsn) as connection:
        for binary in (False, True):
            async with connection.cursor(f"server side {binary}", binary=binary) as cursor:
                await cursor.execute("SELECT n, 'x' || n FROM generate_series(1, %s) AS n", (30,))
                found += [await cursor.fetchmany(7), await cursor.fetchone(), await cursor.fetchall()]
        async with connection.cursor() as streaming:
            found.append([row async for row in streaming.stream("SELECT generate_series(1, %s)", (20,))])
    return found


async def one_that_fails_in_a_pipeline(connection: psycopg.AsyncConnection[Any]) -> None:
    async with connection.pipeline() as pipeline:
        await connection.execute("SELECT 1 / %s::int", (0,))
        await connection.execute("SELECT %s::int", (5,))
        await pipeline.sync()


async def as_psycopg2(place: Place) -> Any:
    """Everything in simple queries, the values in their text: as psycopg2 does it."""
    found: list[Any] = []
    async with await place.psycopg.connect(place.dsn, cursor_factory=psycopg.AsyncClientCursor) as connection:
        for number in (3, 4):
            await connection.execute("INSERT INTO parts (id, name, tags) VALUES (%s, %s, %s)", (number, "it's", ["a"]))
            cursor = await connection.execute("SELECT name, tags FROM parts WHERE id IN (%s, %s)", (number, 77))
            found.append(await cursor.fetchall())
        async with connection.transaction(), connection.cursor("named") as cursor:
            await cursor.execute("SELECT generate_series(1, %s)", (30,))
            found += [await cursor.fetchmany(7), await cursor.fetchall()]
    return found


async def pipelines(place: Place) -> Any:
    found: list[Any] = []
    async with await place.psycopg.connect(place.dsn, autocommit=True) as connection:
        async with connection.pipeline():
            asked = [await connection.execute("SELECT %s::int * 2", (number,)) for number in range(5)]
            found += [await cursor.fetchone() for cursor in asked]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await one_that_fails_in_a_pipeline(connection)
        async with connection.cursor() as cursor:
            await cursor.executemany("UPDATE parts SET name = %s WHERE id = %s", [("x", 1), ("y", 2)])
            found.append(cursor.rowcount)
            await cursor.execute("SELECT 1 AS a; SELECT 2 AS b, 3 AS c; UPDATE parts SET name = name WHERE false")
            while True:
                found.append((cursor.statusmessage, await cursor.fetchall() if cursor.description else None))
                if not cursor.nextset():
                    break
    return found


async def notices_and_channels(place: Place) -> Any:
    async with await place.psycopg.connect(place.dsn, autocommit=True) as connection:
        await connection.execute("DROP TABLE IF EXISTS never_there")
        await connection.execute("LISTEN news")
        await connection.execute("SET statement_timeout = '5s'")
        await connection.execute("NOTIFY news, 'hello'")
        async for news in connection.notifies(stop_after=1):
            return news.channel, news.payload
    return None


CLIENTS = [everything, transactions, cursors, pipelines, as_psycopg2, notices_and_channels]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.__name__)
async def test_psycopg_gets_the_same_from_the_recording(client: Client, postgres: PostgresServer) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.dsn, autocommit=True) as connection:
        await connection.execute(SCHEMA)
    got, recording = await recorded(postgres, client)
    again, server = await asyncio.to_thread(replayed, recording, client)
    assert again == got
    assert server.replay is not None
    counts = server.replay.counts
    assert (counts.by_shape, counts.last, counts.missed, counts.missed_texts) == (0, 0, 0, {})
    assert not recording.notes
