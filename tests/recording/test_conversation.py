"""What the recorder makes of messages, in every order that the protocol allows, however the bytes are cut."""

import asyncio
import struct
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.model.packets import INT
from harness.model.protocol import CANCEL_REQUEST, SSL_REQUEST, message
from harness.postgres import embedded_postgres
from harness.recording import Answer, Recorder, Recording, Statement
from harness.recording.conversation import Conversation
from harness.recording.gathering import Gathering
from harness.recording.model import Seconds
from harness.simulation import wire
from tests.recording.tap import NOW, Place, listened_to

CLIENT, SERVER = "client", "server"
Chunk = tuple[str, bytes]

STARTUP = struct.pack("!ii", 8 + 12, wire.PROTOCOL_3) + b"user\0x\0\0"
STARTUP = struct.pack("!i", len(STARTUP)) + STARTUP[4:]
WELCOME = wire.authentication(0) + wire.parameter_status("server_version", "18.1") + wire.READY["I"]
BEGUN: list[Chunk] = [(CLIENT, STARTUP), (SERVER, WELCOME)]
ERROR = message(b"E", b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0")
ONE_COLUMN = wire.row_description([("n", 23)], binary=False)
SYNC, FLUSH, SUSPENDED = message(b"S"), message(b"H"), message(b"s")


def parse(sql: str, name: str = "", types: Sequence[int] = ()) -> bytes:
    return message(b"P", wire.text(name) + wire.text(sql) + struct.pack(f"!h{len(types)}i", len(types), *types))


def bind(values: Sequence[bytes | None] = (), *, name: str = "", portal: str = "", binary: bool = False) -> bytes:
    sent = b"".join(INT.pack(-1) if value is None else INT.pack(len(value)) + value for value in values)
    formats = struct.pack("!hh", 1, int(binary))
    return message(
        b"B", wire.text(portal) + wire.text(name) + formats + struct.pack("!h", len(values)) + sent + formats
    )


def execute(limit: int = 0, portal: str = "") -> bytes:
    return message(b"E", wire.text(portal) + INT.pack(limit))


def describe(kind: str, name: str = "") -> bytes:
    return message(b"D", kind.encode() + wire.text(name))


def query(sql: str) -> bytes:
    return message(b"Q", wire.text(sql))


def row(text: str) -> bytes:
    return wire.data_row([text.encode()])


def done(tag: str) -> bytes:
    return wire.command_complete(tag)


def heard(*chunks: Chunk, times_s: Sequence[float] | None = None) -> Recording:
    gathering = Gathering()
    conversation = Conversation(gathering)
    for number, (who, data) in enumerate([*BEGUN, *chunks]):
        at_s = times_s[number] if times_s is not None else float(number)
        (conversation.client_sent if who == CLIENT else conversation.server_sent)(data, at_s)
    conversation.closed()
    return gathering.recording()


def computing(*chunks: tuple[str, bytes, float]) -> Recording:
    """As `heard`, and what its backend has computed by the time of each of the client's chunks."""
    gathering = Gathering()
    conversation = Conversation(gathering)
    conversation.client_sent(STARTUP, 0.0, None)
    conversation.server_sent(wire.backend_key_data(1234, 5) + WELCOME, 1.0)
    assert conversation.process_id == 1234
    for at_s, (who, data, cpu_s) in enumerate(chunks, start=2):
        if who == CLIENT:
            conversation.client_sent(data, float(at_s), cpu_s)
        else:
            conversation.server_sent(data, float(at_s))
    conversation.closed()
    return gathering.recording()


def only(recording: Recording) -> Statement:
    (statement,) = recording.statements
    return statement


def rows(answer: Answer) -> list[Any]:
    return [tuple(value and value.decode() for value in one) for one in answer.rows]


def test_a_statement_is_parsed_described_and_executed_many_times() -> None:
    statement = only(
        heard(
            (CLIENT, parse("SELECT $1 AS n", "s1") + describe("S", "s1") + FLUSH),
            (SERVER, wire.PARSE_COMPLETE + wire.parameter_description([23]) + ONE_COLUMN),
            (CLIENT, bind([b"7"], name="s1") + execute() + SYNC),
            (SERVER, wire.BIND_COMPLETE + row("7") + done("SELECT 1") + wire.READY["I"]),
            (CLIENT, bind([None], name="s1") + execute() + bind([b"8"], name="s1") + execute() + SYNC),
            (SERVER, wire.BIND_COMPLETE + wire.data_row([None]) + done("SELECT 1")),
            (SERVER, wire.BIND_COMPLETE + row("8") + done("SELECT 1") + wire.READY["I"]),
        )
    )
    assert (statement.types, [column.name for column in statement.columns or ()]) == ((23,), ["n"])
    assert [(answer.values, rows(answer)) for answer in statement.answers] == [
        ((b"7",), [("7",)]), ((None,), [(None,)]), ((b"8",), [("8",)]),
    ]  # fmt: skip
    # The last two were sent together: the server began the second when it had ended the first.
    assert [answer.seconds and answer.seconds.median for answer in statement.answers] == [1.0, 1.0, 1.0]


def test_the_first_time_runs_from_the_clients_last_byte_to_the_servers_word() -> None:
    recording = heard(
        (CLIENT, query("SELECT 1")[:5]), (CLIENT, query("SELECT 1")[5:]), (SERVER, ONE_COLUMN + row("1")),
        (SERVER, done("SELECT 1") + wire.READY["I"]),
        times_s=[0.0, 0.25, 1.0, 2.0, 2.5, 2.75],
    )  # fmt: skip
    assert recording.connect is not None
    assert recording.connect.median == 0.25
    assert recording.postgres == "18.1"
    seconds = only(recording).seconds
    assert seconds is not None
    assert seconds.median == 0.75


def test_what_a_backend_computes_belongs_to_the_statement_that_it_carried_out() -> None:
    answered = ONE_COLUMN + row("1") + done("SELECT 1") + wire.READY["I"]
    statement = parse("SELECT $1 AS n", "s1") + describe("S", "s1") + FLUSH
    recording = computing(
        (CLIENT, query("SELECT 1"), 0.5),
        (SERVER, answered, 0.0),
        (CLIENT, statement, 0.75),
        (SERVER, wire.PARSE_COMPLETE + wire.parameter_description([23]) + ONE_COLUMN, 0.0),
        # What parsing took is the statement's own, as soon as it has been carried out.
        (CLIENT, bind([b"7"], name="s1") + execute() + SYNC, 1.0),
        (SERVER, wire.BIND_COMPLETE + row("7") + done("SELECT 1") + wire.READY["I"], 0.0),
        (CLIENT, query("SELECT 1"), 2.0),
        # Cut in two: the backend may be at work already.
        (SERVER, answered, 0.0),
        (CLIENT, query("SELECT 1")[:4], 2.125),
        (CLIENT, query("SELECT 1")[4:], 2.125),
        (SERVER, answered, 0.0),
        (CLIENT, query("SELECT 1"), 2.5),
    )
    assert recording.connect_cpu is not None
    assert recording.connect_cpu.median == 0.5
    prepared, simple = recording.statements
    assert (simple.first_cpu, prepared.first_cpu) == (Seconds.of([0.25]), Seconds.of([1.25]))
    assert (simple.cpu, prepared.cpu) == (Seconds.of([0.125, 0.375]), None)


def test_what_a_statement_that_fails_computes_is_its_own_too() -> None:
    recording = computing(
        (CLIENT, query("SELECT 1/0"), 0.5),
        (SERVER, ERROR + wire.READY["I"], 0.0),
        (CLIENT, query("SELECT 2"), 0.75),
        (SERVER, ONE_COLUMN + row("2") + done("SELECT 1") + wire.READY["I"], 0.0),
        (CLIENT, message(b"X"), 1.0),
    )
    assert [statement.first_cpu for statement in recording.statements] == [Seconds.of([0.25])] * 2


def test_nothing_is_known_of_computing_where_nobody_says() -> None:
    recording = heard((CLIENT, query("SELECT 1")), (SERVER, ONE_COLUMN + row("1") + done("SELECT 1") + wire.READY["I"]))
    assert (recording.connect_cpu, only(recording).cpu, only(recording).first_cpu) == (None, None, None)


def test_everything_at_once_without_a_description_of_the_statement() -> None:
    statement = only(
        heard(
            (CLIENT, parse("SELECT $1", types=[21]) + bind([b"\0\1"], binary=True) + describe("P") + execute() + SYNC),
            (SERVER, wire.PARSE_COMPLETE + wire.BIND_COMPLETE + ONE_COLUMN + row("1") + done("SELECT 1")),
            (SERVER, wire.READY["I"]),
        )
    )
    assert (statement.declared, statement.types, statement.answers[0].results) == ((21,), None, (1,))


def test_a_portal_in_steps_is_one_answer() -> None:
    statement = only(
        heard(
            (CLIENT, parse("SELECT n") + bind(portal="p") + describe("P", "p") + execute(2, "p") + FLUSH),
            (SERVER, wire.PARSE_COMPLETE + wire.BIND_COMPLETE + ONE_COLUMN + row("1") + row("2") + SUSPENDED),
            (CLIENT, execute(2, "p") + SYNC), (SERVER, row("3") + done("SELECT 1") + wire.READY["I"]),
        )
    )  # fmt: skip
    assert rows(statement.answers[0]) == [("1",), ("2",), ("3",)]
    assert statement.answers[0].tag == "SELECT 1"


def test_a_portal_that_nobody_fetched_to_its_end_is_an_answer_without_a_tag() -> None:
    statement = only(
        heard(
            (CLIENT, parse("SELECT n") + bind() + describe("P") + execute(1) + SYNC),
            (SERVER, wire.PARSE_COMPLETE + wire.BIND_COMPLETE + ONE_COLUMN + row("1") + SUSPENDED + wire.READY["I"]),
        )
    )
    assert (rows(statement.answers[0]), statement.answers[0].tag) == ([("1",)], None)


def test_an_error_leaves_out_everything_until_sync_also_what_comes_later() -> None:
    after = [
        (CLIENT, parse("SELECT 2") + bind() + execute()), (CLIENT, SYNC), (SERVER, wire.READY["I"]),
        (CLIENT, query("SELECT 3")), (SERVER, ONE_COLUMN + row("3") + done("SELECT 1") + wire.READY["I"]),
    ]  # fmt: skip
    recording = heard(
        (CLIENT, parse("SELECT 1/0") + bind() + execute() + parse("SELECT 9") + bind() + execute()),
        (SERVER, wire.PARSE_COMPLETE + wire.BIND_COMPLETE + ERROR),
        *after,
    )
    assert [statement.sql for statement in recording.statements] == ["SELECT 1/0", "SELECT 3"]
    error = recording.statements[0].answers[0].error
    assert error == {"S": "ERROR", "V": "ERROR", "C": "22012", "M": "division by zero"}


def test_a_text_that_is_not_understood_keeps_its_error() -> None:
    statement = only(heard((CLIENT, parse("SELEKT") + SYNC), (SERVER, ERROR), (SERVER, wire.READY["I"])))
    assert statement.error is not None
    assert statement.answers == ()


def test_several_statements_in_one_simple_query() -> None:
    recording = heard(
        (CLIENT, query("BEGIN; SELECT ';' AS n; UPDATE t SET a = 1; SELECT 1/0; SELECT 5; COMMIT")),
        (SERVER, done("BEGIN") + ONE_COLUMN + row(";") + done("SELECT 1") + done("UPDATE 3") + ERROR),
        (SERVER, wire.READY["E"]), (CLIENT, query("ROLLBACK")), (SERVER, done("ROLLBACK") + wire.READY["I"]),
    )  # fmt: skip
    found = {statement.sql: statement.answers[0] for statement in recording.statements}
    assert list(found) == ["BEGIN", "ROLLBACK", "SELECT ';' AS n", "SELECT 1/0", "UPDATE t SET a = 1"]
    assert found["UPDATE t SET a = 1"].tag == "UPDATE 3"
    assert found["SELECT 1/0"].error is not None


def test_notices_notifications_and_settings_come_at_any_time() -> None:
    notice = message(b"N", b"SNOTICE\0C00000\0Mhello\0\0") + wire.notification(1, "news", "")
    statement = only(
        heard(
            (CLIENT, query("SELECT 1")), (SERVER, notice + ONE_COLUMN + notice + row("1")),
            (SERVER, wire.parameter_status("TimeZone", "UTC") + done("SELECT 1") + notice + wire.READY["I"] + notice),
        )
    )  # fmt: skip
    assert rows(statement.answers[0]) == [("1",)]


def test_a_failed_transaction_says_nothing_about_a_statement() -> None:
    failed = message(b"E", b"SERROR\0VERROR\0C25P02\0Maborted\0\0")
    ended = message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mshutdown\0\0")
    assert heard((CLIENT, query("SELECT 1")), (SERVER, failed + wire.READY["E"])).statements == ()
    assert heard((CLIENT, query("SELECT 1")), (SERVER, ended)).statements == ()


def test_an_answer_is_worth_more_than_an_error_and_an_end_more_than_a_beginning() -> None:
    good = ONE_COLUMN + row("1") + done("SELECT 1") + wire.READY["I"]
    for both in ([good, ERROR + wire.READY["I"]], [ERROR + wire.READY["I"], good]):
        chunks = [chunk for answer in both for chunk in ((CLIENT, query("SELECT 1")), (SERVER, answer))]
        (answer,) = only(heard(*chunks)).answers
        assert answer.tag == "SELECT 1"


def test_what_a_transaction_asks_again_after_a_change_is_another_answer() -> None:
    def asked(*answers: str) -> list[Chunk]:
        ending = done("SELECT 1") + wire.READY["T"]
        return [
            chunk
            for one in answers
            for chunk in ((CLIENT, query("SELECT n")), (SERVER, ONE_COLUMN + row(one) + ending))
        ]

    begun = [(CLIENT, query("BEGIN")), (SERVER, done("BEGIN") + wire.READY["T"])]
    recording = heard(*begun, *asked("1", "1", "2"))
    statement = next(one for one in recording.statements if one.sql == "SELECT n")
    assert [(answer.turn, rows(answer)) for answer in statement.answers] == [(1, [("1",)]), (3, [("2",)])]


def test_a_changed_schema_forgets_the_answers_before() -> None:
    other = wire.row_description([("n", 25)], binary=False)
    statement = only(
        heard(
            (CLIENT, query("SELECT * FROM t")), (SERVER, ONE_COLUMN + row("1") + done("SELECT 1") + wire.READY["I"]),
            (CLIENT, query("SELECT * FROM t")), (SERVER, other + row("x") + done("SELECT 1") + wire.READY["I"]),
        )
    )  # fmt: skip
    assert [rows(answer) for answer in statement.answers] == [[("x",)]]


def test_copy_is_recorded_by_name() -> None:
    copy_in = message(b"G", b"\0\0\0")
    recording = heard(
        (CLIENT, query("COPY t FROM STDIN")), (SERVER, copy_in), (CLIENT, message(b"d", b"1\n") + message(b"c")),
        (SERVER, done("COPY 1") + wire.READY["I"]), (CLIENT, query("SELECT 1")),
        (SERVER, ONE_COLUMN + row("1") + done("SELECT 1") + wire.READY["I"]),
    )  # fmt: skip
    assert [(statement.sql, statement.refused) for statement in recording.statements] == [
        ("COPY t FROM STDIN", "COPY"), ("SELECT 1", None),
    ]  # fmt: skip


def test_a_declined_request_for_encryption_is_no_message() -> None:
    gathering = Gathering()
    conversation = Conversation(gathering)
    conversation.client_sent(struct.pack("!ii", 8, SSL_REQUEST), 0.0)
    conversation.server_sent(b"N", 0.1)
    conversation.client_sent(STARTUP, 0.2)
    conversation.server_sent(WELCOME, 0.5)
    recording = gathering.recording()
    assert recording.connect is not None
    assert recording.connect.median == 0.5


def test_an_encrypted_connection_is_refused_by_name() -> None:
    async def record() -> None:
        recorder = Recorder()
        connection = _Connection()
        recorder.attempt(connection)
        recorder.client_sent(connection, struct.pack("!ii", 8, SSL_REQUEST))
        recorder.server_sent(connection, b"S")
        recorder.client_sent(connection, b"\x16\x03\x01 and so on")
        recorder.recording(app="app:app", recorded_at=NOW)

    with pytest.raises(UserError, match="encrypted"):
        asyncio.run(record())


class _Connection:
    def dial(self) -> None:
        pass


def test_cancelling_and_nonsense_are_no_statements() -> None:
    gathering = Gathering()
    conversation = Conversation(gathering)
    conversation.client_sent(struct.pack("!iiii", 16, CANCEL_REQUEST, 1, 2), 0.0)
    conversation.closed()
    assert gathering.recording().notes == ()
    recording = heard((CLIENT, b"Q\0\0\0\1"), (CLIENT, query("SELECT 1")))
    assert recording.statements == ()
    assert "does not speak" in recording.notes[0]


# Cut anywhere:


async def _programs(place: Place) -> None:
    connection = await asyncpg.connect(place.dsn)
    await connection.execute("CREATE TABLE cut (id int PRIMARY KEY, names text[])")
    for number in range(3):
        await connection.fetch("INSERT INTO cut VALUES ($1, $2) RETURNING *", number, ["a", None])
    async with connection.transaction():
        cursor = await connection.cursor("SELECT generate_series(1, $1::int)", 9)
        await cursor.fetch(4)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("INSERT INTO cut VALUES ($1)", 1)
    await connection.execute("SELECT 1; SELECT 'a' AS b; SET timezone = 'UTC'")
    await connection.close()
    async with await place.psycopg.connect(place.dsn) as other:
        await (await other.execute("SELECT * FROM cut WHERE id = %s", (1,))).fetchall()
        async with other.cursor("named") as named:
            await named.execute("SELECT generate_series(1, 9)")
            await named.fetchmany(4)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _failing(other)
        await other.rollback()
        async with other.cursor() as copying, copying.copy("COPY cut TO STDOUT") as copy:
            async for _ in copy:
                pass


async def _failing(connection: psycopg.AsyncConnection[Any]) -> None:
    async with connection.pipeline():
        await connection.execute("SELECT 1 / %s::int", (0,))
        await connection.execute("SELECT 5")


@cache
def real_bytes() -> list[list[Chunk]]:
    """What was said on the connections of real clients."""

    class Keeping(Recorder):
        def client_sent(self, connection: Any, data: bytes) -> None:
            said.setdefault(connection, []).append((CLIENT, data))

        def server_sent(self, connection: Any, data: bytes) -> None:
            said.setdefault(connection, []).append((SERVER, data))

    said: dict[Any, list[Chunk]] = {}

    async def listen() -> None:
        with TemporaryDirectory() as folder:
            async with (
                embedded_postgres(log=Path(folder) / "log") as (postgres, _),
                listened_to(postgres, Keeping()) as (place, _recorder),
            ):
                await _programs(place)

    asyncio.run(listen())
    return list(said.values())


def listened(connections: list[list[Chunk]], cuts: list[int]) -> Recording:
    gathering = Gathering()
    for chunks in connections:
        conversation = Conversation(gathering)
        for who, data in chunks:
            edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
            for begin, end in pairwise(edges):
                (conversation.client_sent if who == CLIENT else conversation.server_sent)(data[begin:end], 1.0)
        conversation.closed()
    return gathering.recording()


@settings(deadline=None)  # the first example starts a PostgreSQL
@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_a_recording_does_not_depend_on_how_the_bytes_are_cut(cuts: list[int]) -> None:
    whole = listened(real_bytes(), [])
    assert len(whole.statements) > 12
    assert [one.sql for one in whole.statements if one.refused] == ["COPY cut TO STDOUT"]
    assert not whole.notes
    assert listened(real_bytes(), cuts) == whole


def test_a_recording_does_not_depend_on_bytes_that_come_one_by_one() -> None:
    assert listened(real_bytes(), list(range(10_000))) == listened(real_bytes(), [])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([CLIENT, SERVER]), st.integers(0, 400), st.binary(min_size=1, max_size=9))))
def test_no_bytes_break_the_recorder(damages: list[tuple[str, int, bytes]]) -> None:
    damaged = [list(chunks) for chunks in real_bytes()]
    for chunks in damaged:
        for who, place, data in damages:
            chunks.insert(2 + place % len(chunks), (who, data))
    listened(damaged, [])
