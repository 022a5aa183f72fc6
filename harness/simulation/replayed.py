"""A session's statements, answered from a recording: the `Source` (source.py) of an application's own statements."""

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.model.packets import ProtocolViolationError, Reader
from harness.model.protocol import message
from harness.recording.model import Answer, Column, Row, Statement, spread
from harness.recording.sql import cursor_of, shape, split, words
from harness.recording.values import NotConvertibleError, converted
from harness.simulation import wire
from harness.simulation.matching import Asked, Match, Recorded
from harness.simulation.replay import Known, Replay
from harness.simulation.source import Portal, Prepared, StatementError
from harness.simulation.transaction import SESSION_WORDS

QUIET = frozenset({"SET", "RESET", "DEALLOCATE", "DISCARD", "CLOSE"})
"""What only talks to the session is answered though it was never recorded."""
OF_A_CURSOR = frozenset({"FETCH", "CLOSE"})


class ReplayedSession:
    """One session's source: it has its own cursors."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.cursors: dict[str, Cursor] = {}
        self._carried_out: set[str] = set()
        """The statements of the recording that this session has carried out before."""
        self._turns: Counter[tuple[str, Row]] = Counter()
        """How often this transaction has asked the same."""

    def prepared(self, text: bytes, types: bytes) -> Prepared:
        reader = Reader(types)
        declared = tuple([reader.oid() for _ in range(reader.int2())])
        statements = split(_decoded(text))
        if len(statements) > 1:
            return ReplayedStatement(self, Known(" ; ".join(statements), "", several=True))
        return self._one(statements[0] if statements else "", declared)

    def simple(self, text: bytes) -> tuple[Prepared, ...]:
        return tuple([self._one(statement, ()) for statement in split(_decoded(text))])

    def cursor(self, name: bytes) -> Portal | None:
        cursor = self.cursors.get(name.decode(errors="replace"))
        return None if cursor is None else cursor.portal

    def transaction_ended(self) -> None:
        if self.cursors:
            self.cursors = {name: cursor for name, cursor in self.cursors.items() if cursor.is_held}
        self._turns.clear()

    def turn(self, sql: str, values: Row) -> int:
        """Which time it is that this transaction asks this."""
        self._turns[sql, values] += 1
        return self._turns[sql, values]

    def cpu_s(self, statement: Statement) -> float:
        """What carrying out this statement of the recording computes: the first time in a session more."""
        first = statement.sql not in self._carried_out
        self._carried_out.add(statement.sql)
        by_use = (statement.first_cpu, statement.cpu) if first else (statement.cpu, statement.first_cpu)
        computed = by_use[0] or by_use[1]
        return computed.median if computed is not None else 0.0

    def _one(self, sql: str, declared: tuple[int, ...]) -> "ReplayedStatement":
        return ReplayedStatement(self, self.replay.parsed(sql, declared))


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolationError("invalid byte sequence for encoding UTF8") from error


class ReplayedStatement:
    """A parsed statement of one session."""

    __slots__ = ("known", "own", "own_cpu_s", "own_s", "session", "sql", "word")

    def __init__(self, session: ReplayedSession, known: Known) -> None:
        self.session = session
        self.known = known
        self.sql = known.sql
        self.word = known.word
        self.own = known.word in SESSION_WORDS and not known.several
        self.own_s = known.own_s
        self.own_cpu_s = known.own_cpu_s

    @property
    def cursor(self) -> "Cursor | None":
        """The one that a FETCH or a CLOSE is about."""
        return self.session.cursors.get(cursor_of(self.sql) or "") if self.word in OF_A_CURSOR else None

    @property
    def columns(self) -> tuple[Column, ...]:
        cursor = self.cursor
        if cursor is not None:
            return cursor.portal.columns if self.word == "FETCH" else ()
        if self.known.base is None or self.word == "DECLARE":
            return ()
        return self.known.base.columns or ()

    def check(self) -> None:
        known, replay = self.known, self.session.replay
        if known.several:
            raise StatementError("42601", "cannot insert multiple commands into a prepared statement")
        if self.own or self.cursor is not None:
            return
        base = known.base
        if base is None:
            if self.word not in QUIET:
                raise replay.missed(self.sql, "which has no such statement")
        elif base.refused is not None:
            raise replay.missed(self.sql, f"{base.refused} can't be played again")
        elif base.error is not None:
            replay.count(Match.EXACT if shape(base.sql).exact == shape(self.sql).exact else Match.BY_SHAPE)
            raise StatementError(base.error.get("C", "XX000"), base.error.get("M", ""), base.error)

    def described(self) -> bytes:
        columns = self.columns
        return wire.parameter_description(self.known.types) + (row_description(columns, ()) or wire.NO_DATA)

    def bound(
        self, values: Sequence[bytes | None], formats: Sequence[int], results: tuple[int, ...]
    ) -> "ReplayedPortal":
        return ReplayedPortal(self, tuple(values), tuple(formats[: len(values)]), results)


class ReplayedPortal:
    """A bound statement of one session."""

    __slots__ = (
        "_formats",
        "_found",
        "_match",
        "_results",
        "_tag",
        "_values",
        "cpu_s",
        "prepared",
        "rows",
        "statement",
    )

    def __init__(
        self, statement: ReplayedStatement, values: Row, formats: tuple[int, ...], results: tuple[int, ...]
    ) -> None:
        self.statement = statement
        self.prepared: Prepared = statement
        self.rows: tuple[bytes, ...] | None = None
        self.cpu_s = 0.0
        self._values = values
        self._formats = formats
        self._results = results
        self._tag = ""
        self._found: Recorded | None = None
        self._match = Match.EXACT

    @property
    def tag(self) -> str:
        return self._tag

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of a cursor, what its rows have; else what executing it returns."""
        base = self.statement.known.base
        return (base.columns or ()) if base is not None and self.statement.word == "DECLARE" else self.statement.columns

    def row_description(self) -> bytes:
        if self.statement.word == "DECLARE" and cursor_of(self.statement.sql) not in self.statement.session.cursors:
            return b""
        return row_description(self.columns, self._results)

    def seconds(self, draw_service_s: Callable[[], float]) -> float:
        statement = self.statement
        known, replay = statement.known, statement.session.replay
        if statement.cursor is not None or known.base is None or known.alike is None:
            return 0.0
        turn = statement.session.turn(statement.sql, self._values)
        asked = Asked(statement.sql, known.types, self._values, self._formats, self._results, turn)
        found = known.alike.find(asked)
        if found is None:
            raise replay.missed(statement.sql, "which has no answer to it")
        if found[1] is not Match.EXACT and statement.word in QUIET:
            return 0.0
        self._found, self._match = found
        if self._found.answer.error is None and statement.word != "DECLARE":
            # What can't be said in these formats is missed, and is not counted as an answer.
            self.encoded(self._found, self._results)
        replay.count(self._match)
        if not replay.takes_recorded_s:
            return 0.0 if statement.word in QUIET else draw_service_s()
        if replay.computes:
            self.cpu_s = statement.session.cpu_s(self._found.statement)
        took = self._found.answer.seconds if self._match is Match.EXACT else self._found.statement.seconds
        return took.median if took is not None else 0.0

    def answer(self) -> tuple[bytes, ...]:
        statement, found = self.statement, self._found
        if (cursor := statement.cursor) is not None:
            return self._of_cursor(cursor)
        if found is None:
            # Only what talks to the session comes here without an answer.
            self._tag = _quiet_tag(statement.sql)
            if self._tag == "CLOSE CURSOR ALL":
                statement.session.cursors.clear()
            return ()
        if found.answer.error is not None:
            error = found.answer.error
            raise StatementError(error.get("C", "XX000"), error.get("M", ""), error)
        if statement.word == "DECLARE" and (name := cursor_of(statement.sql)) is not None:
            statement.session.cursors[name] = Cursor(self, found, is_held="HOLD" in statement.sql.upper().split())
            self._tag = "DECLARE CURSOR"
            return ()
        rows = self.encoded(found, self._results)
        self._tag = _tag(found.answer)
        return rows if self._match is Match.EXACT or statement.word != "INSERT" else self._as_many(rows, found)

    def encoded(self, found: Recorded, results: tuple[int, ...]) -> tuple[bytes, ...]:
        """DataRow messages in the formats that are asked for. Raises `StatementError`."""
        rows = found.encoded.get(results)
        if rows is None:
            try:
                rows = tuple(data_rows(found.answer, found.statement.columns or (), results))
            except NotConvertibleError as error:
                raise self.statement.session.replay.missed(
                    self.statement.sql, f"which has {error} in the other format only"
                ) from error
            found.encoded[results] = rows
        return rows

    def _of_cursor(self, cursor: "Cursor") -> tuple[bytes, ...]:
        session, sql = self.statement.session, self.statement.sql
        if self.statement.word == "CLOSE":
            del session.cursors[cursor_of(sql) or ""]
            self._tag = "CLOSE CURSOR"
            return ()
        count = rows_to_fetch(sql)
        if count is None:
            raise session.replay.missed(sql, "which can only be fetched forward")
        rows = cursor.portal.encoded(cursor.found, self._results)[cursor.at :][: count if count >= 0 else None]
        cursor.at += len(rows)
        self._tag = f"FETCH {len(rows)}"
        return rows

    def _as_many(self, rows: tuple[bytes, ...], found: Recorded) -> tuple[bytes, ...]:
        """An INSERT of more or fewer rows than the recorded one returns, and counts, as many as it inserts."""
        inserted, recorded = _rows_of_values(self.statement.sql), _rows_of_values(found.statement.sql)
        if inserted == recorded or found.answer.tag != f"INSERT 0 {recorded}":
            return rows
        self._tag = f"INSERT 0 {inserted}"
        return tuple([rows[number % len(rows)] for number in range(inserted)]) if rows else ()


@dataclass(slots=True)
class Cursor:
    """What a DECLARE has opened, and how much of it has been fetched."""

    portal: ReplayedPortal
    found: Recorded
    is_held: bool
    """WITH HOLD: it outlives its transaction."""
    at: int = 0


def rows_to_fetch(sql: str) -> int | None:
    """How many rows a FETCH asks for; -1: all; None: not forward."""
    asked = sql.upper().split()[1:]
    if asked[:1] in (["NEXT"], ["FORWARD"]):
        asked = asked[1:]
    if asked[:1] == ["ALL"]:
        return -1
    if asked[:1] and asked[0].isdigit():
        return int(asked[0])
    return 1 if len(asked) == 1 or asked[0] in ("FROM", "IN") else None


def _rows_of_values(sql: str) -> int:
    """How many rows a VALUES list has: as many as the parameters, or the literals, at one place of its shape."""
    places = [place for _, place in shape(sql).slots]
    return max((places.count(place) for place in set(places)), default=1)


def _quiet_tag(sql: str) -> str:
    word, *following = words(sql, 2)
    what = following[0] if following[:1] in (["ALL"], ["TEMP"], ["TEMPORARY"], ["PLANS"], ["SEQUENCES"]) else ""
    if word == "CLOSE":
        return "CLOSE CURSOR ALL" if what else "CLOSE CURSOR"
    return f"{word} {what}" if what and word in ("DEALLOCATE", "DISCARD") else word


def _tag(answer: Answer) -> str:
    if answer.tag is None or answer.tag.startswith("SELECT "):
        # It counts what the last Execute fetched.
        return "SELECT {}"
    return answer.tag


def row_description(columns: Sequence[Column], formats: tuple[int, ...]) -> bytes:
    """RowDescription, byte for byte as PostgreSQL sent it; nothing without columns."""
    if not columns:
        return b""
    described = [
        wire.text(column.name)
        + struct.pack("!IhIhih", column.table, column.number, column.type, column.size, column.modifier, form)
        for column, form in zip(columns, spread(formats, len(columns)), strict=True)
    ]
    return message(b"T", struct.pack("!h", len(columns)) + b"".join(described))


def data_rows(answer: Answer, columns: Sequence[Column], results: tuple[int, ...]) -> list[bytes]:
    """An answer's rows in other formats than they were recorded in, if need be. Raises `NotConvertibleError`."""
    asked = spread(results, len(answer.results))
    if asked == answer.results:
        return [wire.data_row(row) for row in answer.rows]
    if len(columns) != len(asked):
        raise NotConvertibleError("rows that nobody described")
    return [
        wire.data_row([
            converted(value, column.type, from_=kept, to=wanted)
            for value, column, kept, wanted in zip(row, columns, answer.results, asked, strict=True)
        ])
        for row in answer.rows
    ]  # fmt: skip
