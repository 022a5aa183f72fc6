"""A real PostgreSQL and the simulated backend are asked the same questions through asyncpg; their answers agree."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from harness.postgres import PostgresServer
from harness.service.statements import LIST_TRACKS, READ_TRACK
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network

pytestmark = pytest.mark.anyio

Connect = Callable[[], Awaitable[Any]]
READ = READ_TRACK.sql.replace(":id", "$1")
LIST = LIST_TRACKS.sql.replace(":after", "$1")


async def read_a_track(connect: Connect) -> Any:
    return [dict(row) for row in await (await connect()).fetch(READ, 7)]


async def list_tracks(connect: Connect) -> Any:
    return [tuple(row) for row in await (await connect()).fetch(LIST, 390)]


async def nobody_there(connect: Connect) -> Any:
    return await (await connect()).fetchrow(READ, 4_000)


async def one_row_of_many(connect: Connect) -> Any:
    return tuple(await (await connect()).fetchrow(LIST, -1))


async def a_cursor_in_steps(connect: Connect) -> Any:
    connection = await connect()
    async with connection.transaction():
        cursor = await connection.cursor(LIST, 380)
        return [[row["id"] for row in await cursor.fetch(6)] for _ in range(5)]


async def a_prepared_statement(connect: Connect) -> Any:
    prepared = await (await connect()).prepare(READ)
    types = (
        [one.name for one in prepared.get_parameters()],
        [(one.name, one.type.name) for one in prepared.get_attributes()],
    )
    return types, [(await prepared.fetchrow(number))["title"] for number in (1, 2, 3)]


async def the_tags(connect: Connect) -> Any:
    connection = await connect()
    return [
        await connection.execute(sql)
        for sql in (
            "BEGIN",
            "INSERT INTO plays (track_id) VALUES (7)",
            "COMMIT",
            "START TRANSACTION",
            "ROLLBACK",
            "SELECT 1",
        )
        if not sql.startswith("INSERT")
    ] + [await connection.execute("INSERT INTO plays (track_id) VALUES ($1)", 7)]


async def several_statements_at_once(connect: Connect) -> Any:
    return await (await connect()).execute("SELECT 1; BEGIN; ROLLBACK")


async def a_syntax_error(connect: Connect) -> Any:
    connection = await connect()
    with pytest.raises(asyncpg.PostgresError) as raised:
        await connection.execute("SELEKT 1")
    return raised.value.sqlstate, await connection.fetchval("SELECT 1")


async def a_failed_transaction(connect: Connect) -> Any:
    connection = await connect()
    await connection.execute("BEGIN")
    with pytest.raises(asyncpg.PostgresError):
        await connection.execute("SELEKT 1")
    with pytest.raises(asyncpg.PostgresError) as raised:
        await connection.fetch("SELECT 1")
    tag = await connection.execute("COMMIT")
    return raised.value.sqlstate, tag, await connection.fetchval("SELECT 1")


async def a_transaction_within_one(connect: Connect) -> Any:
    connection = await connect()
    notices: list[str | None] = []
    connection.add_log_listener(lambda _, notice: notices.append(notice.sqlstate))
    tags = [await connection.execute("BEGIN") for _ in range(2)]
    await asyncio.sleep(0.05)
    return tags, notices, connection.is_in_transaction()


async def the_wrong_number_of_parameters(connect: Connect) -> Any:
    connection = await connect()
    with pytest.raises(asyncpg.InterfaceError) as raised:
        await connection.fetch(READ, 1, 2)
    return type(raised.value).__name__, await connection.fetchval("SELECT 1")


async def a_cancelled_statement(connect: Connect) -> Any:
    connection = await connect()
    with pytest.raises(TimeoutError):
        await connection.fetch("SELECT pg_sleep($1)", 30.0, timeout=0.2)
    return await connection.fetchval("SELECT 1")


async def a_timeout_in_a_transaction(connect: Connect) -> Any:
    connection = await connect()
    with pytest.raises(TimeoutError):
        async with connection.transaction():
            await connection.fetch("SELECT pg_sleep($1)", 30.0, timeout=0.2)
    return connection.is_in_transaction(), await connection.fetchval("SELECT 1")


async def notifications(connect: Connect) -> Any:
    listening, speaking = await connect(), await connect()
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    await listening.add_listener("queue", lambda _c, _p, channel, payload: heard.put_nowait((channel, payload)))
    await speaking.execute("NOTIFY queue, 'one'")
    first = await asyncio.wait_for(heard.get(), 5)
    await listening.execute("UNLISTEN queue")
    await speaking.execute("NOTIFY queue, 'two'")
    await asyncio.sleep(0.1)
    return first, heard.empty()


async def the_settings_it_tells(connect: Connect) -> Any:
    connection = await connect()
    settings = connection.get_settings()
    return (
        settings.client_encoding, settings.standard_conforming_strings, settings.integer_datetimes,
        await connection.fetchval("show standard_conforming_strings"),
        await connection.fetchval("select current_schema()"),
        await connection.fetchval("show transaction isolation level"),
    )  # fmt: skip


async def a_text_there_and_back(connect: Connect) -> Any:
    return await (await connect()).fetchval("SELECT $1::text", "Größe ≠ 0\n'\"")


async def closing_twice(connect: Connect) -> Any:
    connection = await connect()
    await connection.close()
    await connection.close()
    with pytest.raises(asyncpg.InterfaceError):
        await connection.fetchval("SELECT 1")
    return connection.is_closed()


QUESTIONS = [
    read_a_track, list_tracks, nobody_there, one_row_of_many, a_cursor_in_steps, a_prepared_statement, the_tags,
    several_statements_at_once, a_syntax_error, a_failed_transaction, a_transaction_within_one,
    the_wrong_number_of_parameters, a_cancelled_statement, a_timeout_in_a_transaction, notifications,
    the_settings_it_tells, a_text_there_and_back, closing_twice,
]  # fmt: skip


async def asked(question: Callable[[Connect], Awaitable[Any]], **where: Any) -> Any:
    connections: list[Any] = []

    async def connect() -> Any:
        connections.append(await asyncpg.connect(ssl=False, timeout=10, **where))
        return connections[-1]

    try:
        return await question(connect)
    finally:
        for connection in connections:
            connection.terminate()


def asked_in_virtual_time(question: Callable[[Connect], Awaitable[Any]]) -> Any:
    async def main(loop: VirtualLoop) -> Any:
        network = Network(loop)
        network.listen("localhost", 5432, SimulatedPostgres(loop=loop, password="secret"))
        return await asked(question, host="localhost", user="coldstart", password="secret", database="catalogue")

    return run(main)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
async def test_both_give_the_same_answer(
    postgres: PostgresServer, question: Callable[[Connect], Awaitable[Any]]
) -> None:
    real = await asked(question, dsn=postgres.dsn)
    simulated = await asyncio.to_thread(asked_in_virtual_time, question)
    assert simulated == real
