"""A simulated server that answers from a recording: what matches what, what it counts, and what takes how long."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import asyncpg
import psycopg
import pytest

from harness.recording import Answer, Column, Recording, Seconds, Statement
from harness.simulation.backend import SimulatedPostgres, constant
from harness.simulation.replayed import row_description
from tests.recording.tap import Place, replayed

INT4, TEXT, UUID = 23, 25, 2950
NAME = Column("name", TEXT, -1, -1, 16_400, 2)
ID = Column("id", INT4, 4)


def took(median: float) -> Seconds:
    return Seconds(1, median, median, median)


def int4(number: int) -> bytes:
    return struct.pack("!i", number)


def answer(*values: int, rows: tuple[str, ...] = (), seconds: float = 0.0, **more: Any) -> Answer:
    """To int4 parameters in the binary format, with one column of text."""
    return Answer(
        values=tuple(int4(value) for value in values),
        formats=(1,) * len(values),
        results=(1,),
        rows=tuple((row.encode(),) for row in rows),
        tag=f"SELECT {len(rows)}",
        seconds=took(seconds),
        **more,
    )


def statement(sql: str, *answers: Answer, **more: Any) -> Statement:
    parameters = max((len(one.values) for one in answers), default=0)
    return Statement(
        **{
            "sql": sql,
            "types": (INT4,) * parameters,
            "columns": (NAME,),
            "answers": answers,
            "seconds": took(0.5),
            **more,
        }
    )


def recording(*statements: Statement, **header: Any) -> Recording:
    return Recording(
        **{"parameters": {"server_version": "17.2", "client_encoding": "UTF8"}, **header}, statements=statements
    )


def ask(recorded: Recording, story: Callable[[Any], Awaitable[Any]], **options: Any) -> tuple[Any, Any]:
    """What asyncpg's connection gets, and the counts."""

    async def client(place: Place) -> Any:
        connection = await asyncpg.connect(place.dsn, ssl=False)
        try:
            return await story(connection)
        finally:
            connection.terminate()

    result, server = replayed(recorded, client, **options)
    return result, server.replay.counts


def counted(counts: Any) -> tuple[int, int, int, int]:
    return counts.exact, counts.by_shape, counts.last, counts.missed


READ = "SELECT name FROM t WHERE id = $1 AND tenant = $2"
TWO = recording(
    statement(READ, answer(1, 5, rows=("one",)), answer(2, 6, rows=("two",)), answer(3, 6, rows=("three",)))
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "name", "counts"),
    [
        ((1, 5), "one", (1, 0, 0, 0)),
        ((2, 6), "two", (1, 0, 0, 0)),
        ((9, 5), "one", (0, 1, 0, 0)),
        ((9, 6), "three", (0, 1, 0, 0)),
        ((2, 9), "two", (0, 1, 0, 0)),
        ((9, 9), "three", (0, 0, 1, 0)),
        ((None, None), "three", (0, 0, 1, 0)),
    ],
)
def test_exact_then_nearest_then_last(values: tuple[Any, Any], name: str, counts: tuple[int, ...]) -> None:
    got, found = ask(TWO, lambda connection: connection.fetchval(READ, *values))
    assert (got, counted(found)) == (name, counts)


def test_comments_space_and_a_semicolon_are_no_part_of_a_text() -> None:
    sql = f"/* trace=7 */ {READ.replace(' ', '  ')} -- so\n;"
    got, counts = ask(TWO, lambda connection: connection.fetchval(sql, 1, 5))
    assert (got, counted(counts)) == ("one", (1, 0, 0, 0))


def test_lists_of_any_length_have_one_shape_and_their_types() -> None:
    recorded = recording(statement("SELECT name FROM t WHERE id IN ($1, $2)", answer(1, 2, rows=("one", "two"))))

    async def story(connection: Any) -> Any:
        sql = "SELECT name FROM t WHERE id IN ($1, $2, $3)"
        prepared = await connection.prepare(sql)
        return (
            [one.name for one in prepared.get_parameters()],
            len(await prepared.fetch(7, 2, 8)),
            await connection.fetch(sql, 7, 8, 9),
        )

    (types, rows, other), counts = ask(recorded, story)
    assert (types, rows, len(other)) == (["int4"] * 3, 2, 2)
    assert counted(counts) == (0, 1, 1, 0)


def literally(number: int, text: str) -> str:
    return f"SELECT name FROM t WHERE id = {number} AND a = '{text}'"  # noqa: S608 - goes to no database


def test_literals_are_compared_as_values_are() -> None:
    recorded = recording(
        statement(literally(1, "x"), Answer(results=(0,), rows=((b"one",),), tag="SELECT 1")),
        statement(literally(2, "y"), Answer(results=(0,), rows=((b"two",),), tag="SELECT 1")),
    )

    async def client(place: Place) -> Any:
        async with await place.psycopg.connect(place.dsn, autocommit=True) as connection:
            asked = [
                await connection.execute(literally(number, text).encode())
                for number, text in ((1, "x"), (3, "x"), (2, "z"), (9, "q"))
            ]
            return [(await cursor.fetchall())[0][0] for cursor in asked]

    got, server = replayed(recorded, client)
    assert got == ["one", "one", "two", "two"]
    assert counted(server.replay.counts) == (1, 2, 1, 0)  # type: ignore[union-attr]


def test_an_insert_of_more_rows_returns_and_counts_as_many() -> None:
    one = Answer(
        values=(int4(1), int4(2)),
        formats=(1, 1),
        results=(1,),
        rows=((b"a",), (b"b",)),
        tag="INSERT 0 2",
        seconds=took(0),
    )
    recorded = recording(statement("INSERT INTO t (id) VALUES ($1), ($2) RETURNING name", one))

    async def story(connection: Any) -> Any:
        sql = "INSERT INTO t (id) VALUES ($1), ($2), ($3) RETURNING name"
        prepared = await connection.prepare(sql)
        return len(await prepared.fetch(1, 8, 9)), prepared.get_statusmsg()

    assert ask(recorded, story)[0] == (3, "INSERT 0 3")


def test_an_answer_is_preferred_to_an_error_and_the_error_is_whole_where_nothing_else_is() -> None:
    error = {"S": "ERROR", "V": "ERROR", "C": "23505", "M": "duplicate", "D": "Key (id)=(1)", "n": "t_pkey"}
    failed = Answer(values=(int4(1),), formats=(1,), error=error, seconds=took(0.25))
    sql = "SELECT name FROM t WHERE id = $1"

    async def story(connection: Any) -> Any:
        with pytest.raises(asyncpg.UniqueViolationError) as raised:
            await connection.fetch(sql, 1)
        return raised.value.detail, raised.value.constraint_name, await connection.fetchval("SELECT 1")

    always = recording(statement(sql, failed), statement("SELECT 1", answer(rows=("fine",))))
    assert ask(always, story)[0] == ("Key (id)=(1)", "t_pkey", "fine")
    sometimes = recording(statement(sql, answer(2, rows=("two",)), failed))
    got, counts = ask(sometimes, lambda connection: connection.fetchval(sql, 3))
    assert (got, counted(counts)) == ("two", (0, 0, 1, 0))


def test_what_was_never_recorded_is_an_error_that_names_it_and_is_counted() -> None:
    async def story(connection: Any) -> Any:
        words = []
        for sql in ("SELECT secret FROM other", "SELECT secret FROM other", "SELECT never, answered FROM t"):
            with pytest.raises(asyncpg.InternalServerError) as raised:
                await connection.fetch(sql)
            words.append(str(raised.value))
        return words

    words, counts = ask(recording(statement("SELECT never, answered FROM t")), story)
    assert words[0] == "the recording can't answer, which has no such statement: SELECT secret FROM other"
    assert words[2] == "the recording can't answer, which has no answer to it: SELECT never, answered FROM t"
    assert counts.missed_texts == {"SELECT secret FROM other": 2, "SELECT never, answered FROM t": 1}
    assert counted(counts) == (0, 0, 0, 3)


def test_copy_is_refused_by_name() -> None:
    async def story(connection: Any) -> Any:
        with pytest.raises(asyncpg.InternalServerError, match="COPY can't be played again"):
            await connection.copy_from_table("t", output=lambda _: None)

    recorded = recording(Statement(sql='COPY "t" TO STDOUT', refused="COPY"))
    assert ask(recorded, story)[1].missed_texts == {'COPY "t" TO STDOUT': 1}


def test_what_only_talks_to_the_session_needs_no_recording() -> None:
    async def story(connection: Any) -> Any:
        return [
            await connection.execute(sql)
            for sql in ("SET search_path = a", "RESET ALL", "CLOSE ALL", "DISCARD ALL", "DEALLOCATE ALL", "LISTEN a",
                        "BEGIN", "SAVEPOINT b", "ROLLBACK TO b", "COMMIT", "UNLISTEN *")
        ]  # fmt: skip

    other = statement("SET search_path = b", Answer(tag="SET", seconds=took(9.0)), columns=())
    tags, counts = ask(recording(other), story)
    assert tags == ["SET", "RESET", "CLOSE CURSOR ALL", "DISCARD ALL", "DEALLOCATE ALL", "LISTEN", "BEGIN", "SAVEPOINT",
                    "ROLLBACK", "COMMIT", "UNLISTEN"]  # fmt: skip
    assert counted(counts) == (0, 0, 0, 0)


def test_a_failed_transaction_ignores_everything_until_its_end() -> None:
    async def story(connection: Any) -> Any:
        await connection.execute("BEGIN")
        with pytest.raises(asyncpg.InternalServerError):
            await connection.execute("SELECT nothing")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await connection.fetch(READ, 1, 5)
        return await connection.execute("COMMIT"), await connection.fetchval(READ, 1, 5)

    got, counts = ask(TWO, story)
    assert got == ("ROLLBACK", "one")
    assert counted(counts) == (1, 0, 0, 1)


def test_a_transaction_sees_its_own_writes_in_their_turns() -> None:
    sql = "SELECT name FROM t WHERE id = $1"
    recorded = recording(statement(sql, answer(1, rows=("before",)), answer(1, rows=("after",), turn=3)))

    async def story(connection: Any) -> Any:
        found = [await connection.fetchval(sql, 1) for _ in range(3)]
        async with connection.transaction():
            return found + [await connection.fetchval(sql, 1) for _ in range(4)]

    got, counts = ask(recorded, story)
    assert got == ["before"] * 5 + ["after"] * 2
    assert counted(counts) == (7, 0, 0, 0)


def test_recorded_times_are_spent_unless_the_story_has_its_own() -> None:
    recorded = recording(
        statement(READ, answer(1, 5, rows=("one",), seconds=2.0), seconds=took(3.0)),
        statement("COMMIT", Answer(tag="COMMIT", seconds=took(0.25)), columns=None, seconds=took(0.25)),
        connect=Seconds(3, 0.125, 0.1, 0.2),
    )

    async def client(place: Place) -> Any:
        loop, times = asyncio.get_running_loop(), [asyncio.get_running_loop().time()]
        connection = await asyncpg.connect(place.dsn, ssl=False)
        times.append(loop.time())
        await connection.execute("BEGIN")
        times.append(loop.time())
        for values in ((1, 5), (9, 9)):
            await connection.fetchval(READ, *values)
            times.append(loop.time())
        await connection.execute("COMMIT")
        times.append(loop.time())
        connection.terminate()
        return [after - before for before, after in pairwise(times)]

    assert replayed(recorded, client)[0] == pytest.approx([0.125, 0.0, 2.0, 3.0, 0.25])
    own = {"draw_service_s": constant(1.0), "draw_connect_s": constant(4.0)}
    assert replayed(recorded, client, **own)[0] == pytest.approx([4.0, 0.0, 1.0, 1.0, 0.0])


def test_what_was_recorded_as_computed_shares_the_cores() -> None:
    recorded = recording(
        statement(
            READ, answer(1, 5, rows=("one",), seconds=2.0), seconds=took(2.0), cpu=took(0.5), first_cpu=took(1.5)
        ),
        statement("COMMIT", Answer(tag="COMMIT", seconds=took(0.5)), columns=None, seconds=took(0.5), cpu=took(0.25)),
        connect=took(3.0),
        connect_cpu=took(1.0),
    )

    async def one(place: Place) -> Any:
        loop, times = asyncio.get_running_loop(), [asyncio.get_running_loop().time()]
        connection = await asyncpg.connect(place.dsn, ssl=False)
        times.append(loop.time())
        await connection.execute("BEGIN")
        for _ in range(2):
            await connection.fetchval(READ, 1, 5)
            times.append(loop.time())
        await connection.execute("COMMIT")
        times.append(loop.time())
        connection.terminate()
        return [after - before for before, after in pairwise(times)]

    async def four(place: Place) -> Any:
        return await asyncio.gather(*(one(place) for _ in range(4)))

    # Alone: what connecting computes, without the client's part of it; and a statement takes what it took.
    assert replayed(recorded, one, cores=2)[0] == pytest.approx([1.0, 2.0, 2.0, 0.5])
    # Four on two cores: computing takes twice as long, and the rest of a statement's time does not.
    for times in replayed(recorded, four, cores=2)[0]:
        assert times == pytest.approx([2.0, 0.5 + 3.0, 1.5 + 1.0, 0.25 + 0.5])
    # Without cores to share everything takes what it took, beside others too.
    for times in replayed(recorded, four)[0]:
        assert times == pytest.approx([3.0, 2.0, 2.0, 0.5])


def test_a_first_time_that_computes_more_than_the_median_took_takes_that() -> None:
    recorded = recording(
        statement(READ, answer(1, 5, rows=("one",), seconds=0.5), cpu=took(0.25), first_cpu=took(4.0)),
    )

    async def story(connection: Any) -> list[float]:
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        for _ in range(2):
            await connection.fetchval(READ, 1, 5)
            times.append(loop.time())
        return [after - before for before, after in pairwise(times)]

    assert ask(recorded, story, cores=1)[0] == pytest.approx([4.0, 0.5])


def test_a_recording_that_does_not_know_what_was_computed_takes_its_times_beside_others() -> None:
    recorded = recording(statement(READ, answer(1, 5, rows=("one",), seconds=2.0)), connect=took(3.0))

    async def one(place: Place) -> float:
        connection = await asyncpg.connect(place.dsn, ssl=False)
        await connection.fetchval(READ, 1, 5)
        connection.terminate()
        return asyncio.get_running_loop().time()

    async def three(place: Place) -> Any:
        return await asyncio.gather(*(one(place) for _ in range(3)))

    assert replayed(recorded, three, cores=1)[0] == pytest.approx([5.0, 5.0, 5.0])


def test_parameter_statuses_are_the_recorded_servers() -> None:
    async def story(connection: Any) -> Any:
        return connection.get_settings().client_encoding, connection.get_server_version()[:3]

    assert ask(TWO, story)[0] == ("UTF8", (17, 0, 2))


def test_a_description_is_byte_for_byte_the_recorded_one() -> None:
    body = struct.pack("!h", 1) + b"name\0" + struct.pack("!IhIhih", 16_400, 2, TEXT, -1, -1, 1)
    assert row_description((NAME,), (1,)) == b"T" + struct.pack("!i", len(body) + 4) + body


def test_rows_in_the_other_format_are_converted_or_missed() -> None:
    columns = (ID, Column("key", UUID, 16), Column("mood", 99_999, 4))
    raw = (int4(7), bytes(15) + b"\1", b"wild")
    known = Answer(results=(1, 1), rows=(raw[:2],), tag="SELECT 1")
    unknown = Answer(results=(1, 1, 1), rows=(raw,), tag="SELECT 1")
    recorded = recording(
        statement("SELECT id, key FROM t", known, columns=columns[:2], types=()),
        statement("SELECT id, key, mood FROM t", unknown, columns=columns, types=()),
    )

    async def client(place: Place) -> Any:
        async with await place.psycopg.connect(place.dsn, autocommit=True) as connection:
            good = await (await connection.execute("SELECT id, key FROM t")).fetchone()
            with pytest.raises(psycopg.errors.InternalError_, match="a value of type 99999 in the other format only"):
                await connection.execute("SELECT id, key, mood FROM t")
            return good and (good[0], str(good[1]))

    got, server = replayed(recorded, client)
    assert got == (7, "00000000-0000-0000-0000-000000000001")
    assert server.replay is not None
    assert counted(server.replay.counts) == (1, 0, 0, 1)


def test_values_in_other_formats_and_sizes_are_the_same_values() -> None:
    sql = "SELECT name FROM t WHERE id = $1"
    short = Answer(values=(b"\0\7",), formats=(1,), results=(0,), rows=((b"seven",),), tag="SELECT 1")
    recorded = recording(Statement(sql=sql, declared=(21,), columns=(NAME,), answers=(short,), seconds=took(0)))
    got, counts = ask(recorded, lambda connection: connection.fetchval(sql, 7))
    assert (got, counted(counts)) == ("seven", (1, 0, 0, 0))


def test_a_row_limit_is_the_portals_position() -> None:
    sql = "SELECT name FROM t"
    recorded = recording(statement(sql, answer(rows=("a", "b", "c", "d", "e"))))

    async def story(connection: Any) -> Any:
        first = await connection.fetchrow(sql)
        async with connection.transaction():
            cursor = await connection.cursor(sql)
            steps = [[row["name"] for row in await cursor.fetch(2)] for _ in range(4)]
        return first["name"], steps

    assert ask(recorded, story)[0] == ("a", [["a", "b"], ["c", "d"], ["e"], []])


def test_rows_whose_end_nobody_fetched_end_where_they_are_known_to() -> None:
    sql = "SELECT name FROM t"
    begun = Answer(results=(1,), rows=((b"a",),), tag=None, seconds=took(0))
    got, _ = ask(recording(statement(sql, begun)), lambda connection: connection.fetch(sql))
    assert [row["name"] for row in got] == ["a"]


def test_a_text_that_never_parsed_fails_as_it_did() -> None:
    error = {"S": "ERROR", "V": "ERROR", "C": "42P01", "M": 'relation "gone" does not exist', "P": "15"}

    async def story(connection: Any) -> Any:
        with pytest.raises(asyncpg.UndefinedTableError) as raised:
            await connection.fetch("SELECT * FROM gone")
        return raised.value.message, raised.value.position

    got, counts = ask(recording(Statement(sql="SELECT * FROM gone", error=error)), story)
    assert (got, counted(counts)) == (('relation "gone" does not exist', "15"), (1, 0, 0, 0))


def test_cursors_are_fetched_forward_and_end_with_their_transaction() -> None:
    sql = "DECLARE mine CURSOR FOR SELECT name FROM t"
    one = Answer(results=(1,), rows=((b"a",), (b"b",), (b"c",)), tag="DECLARE CURSOR", seconds=took(0))

    async def story(connection: Any) -> Any:
        async with connection.transaction():
            await connection.execute(sql)
            found = [
                [row["name"] for row in await connection.fetch(fetch)]
                for fetch in ("FETCH NEXT FROM mine", "FETCH mine", "FETCH FORWARD ALL IN mine", "FETCH 5 FROM mine")
            ]
            await connection.execute("CLOSE mine")
        async with connection.transaction():
            await connection.execute(sql)
        with pytest.raises(asyncpg.InternalServerError):
            await connection.fetch("FETCH 1 FROM mine")
        async with connection.transaction():
            await connection.execute(sql)
            with pytest.raises(asyncpg.InternalServerError, match="only be fetched forward"):
                await connection.fetch("FETCH BACKWARD 1 FROM mine")
        return found

    recorded = recording(statement(sql, one, types=()))
    with pytest.raises(asyncpg.InternalServerError):
        ask(recorded, lambda connection: connection.fetch("FETCH 1 FROM mine"))
    assert ask(recorded, story)[0] == [["a"], ["b"], ["c"], []]


def test_several_statements_in_one_parse_are_refused_as_postgresql_does() -> None:
    async def story(connection: Any) -> Any:
        with pytest.raises(asyncpg.PostgresSyntaxError, match="multiple commands"):
            await connection.fetch("SELECT 1; SELECT 2")

    ask(recording(), story)


def test_sessions_of_one_server_are_counted_together() -> None:
    async def client(place: Place) -> Any:
        async with asyncpg.create_pool(place.dsn, ssl=False, min_size=2, max_size=2, reset=_nothing) as pool:
            return await asyncio.gather(*[pool.fetchval(READ, 1, 5) for _ in range(10)])

    got, server = replayed(TWO, client)
    assert got == ["one"] * 10
    assert isinstance(server, SimulatedPostgres)
    assert server.replay is not None
    assert counted(server.replay.counts) == (10, 0, 0, 0)


async def _nothing(_: Any) -> None:
    """Nothing to reset."""
