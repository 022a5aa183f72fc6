"""The second half of a session: simple and extended query, transactions, channels.

Source of the order of messages, and of what an error leaves out: PostgreSQL's documentation, "Message Flow".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.model.compute import ErrorResponse
from harness.model.packets import Message, ProtocolViolationError, Reader
from harness.model.protocol import encoded, message
from harness.simulation import wire
from harness.simulation.catalogue import Known, encoded_rows, lookup, normal
from harness.simulation.exchange import Exchange
from harness.simulation.postmaster import Postmaster

BEGIN = frozenset({"BEGIN", "START"})
COMMIT = frozenset({"COMMIT", "END"})
ROLLBACK = frozenset({"ROLLBACK", "ABORT"})
CHANNELS = frozenset({"LISTEN", "UNLISTEN", "NOTIFY"})
SAVEPOINTS = frozenset({"SAVEPOINT", "RELEASE"})
BACK_TO = re.compile(r"ROLLBACK(?: WORK| TRANSACTION)? TO(?: SAVEPOINT)? (.+)", re.IGNORECASE)
"""The one use of ROLLBACK that ends no transaction."""
ENDS = COMMIT | ROLLBACK
SESSION_WORDS = BEGIN | ENDS | CHANNELS | SAVEPOINTS | {""}
"""The first words of the statements that the session carries out itself; the empty statement has the empty word."""
SLEEP = "SELECT pg_sleep($1)"
QUERY_CANCELED = ("57014", "canceling statement due to user request")
STATEMENT_TIMEOUT = ("57014", "canceling statement due to statement timeout")
NO_TRANSACTION = ("25P01", "{} can only be used in transaction blocks")
NO_SAVEPOINT = ("3B001", 'savepoint "{}" does not exist')
IN_FAILED_TRANSACTION = (
    "25P02", "current transaction is aborted, commands ignored until end of transaction block",
)  # fmt: skip


class StatementError(Exception):
    """A statement fails: SQLSTATE and words."""

    def __init__(self, sqlstate: str, words: str) -> None:
        self.sqlstate = sqlstate
        self.words = words
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed statement; `known` is None for what the session itself understands, and for the empty one."""

    sql: str
    word: str
    """Its first word, in capitals."""
    known: Known | None

    @property
    def understood(self) -> bool:
        return self.known is not None or self.word in SESSION_WORDS


@lru_cache(maxsize=4096)
def prepared(text: bytes) -> Prepared:
    """A statement as a client sent it; the same text is parsed once."""
    sql = normal(_decoded(text))
    return Prepared(sql, sql.split(maxsplit=1)[0].upper() if sql else "", lookup(sql) if sql else None)


@lru_cache(maxsize=1024)
def statements_of(text: bytes) -> tuple[Prepared, ...]:
    """The statements of a simple query; none of an empty one."""
    return tuple(statement for part in text.split(b";") if (statement := prepared(part)).sql)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolationError("invalid byte sequence for encoding UTF8") from error


@dataclass(slots=True)
class Portal:
    """A bound statement, and what is still to be fetched from it once it was executed."""

    prepared: Prepared
    parameters: tuple[Any, ...]
    formats: tuple[int, ...]
    rows: tuple[bytes, ...] | None = None
    """DataRow messages."""


class Statements:
    """Carries out the messages of a client that is welcome."""

    __slots__ = (
        "_channels", "_exchange", "_in_simple", "_out", "_portals", "_postmaster", "_prepared", "_process_id",
        "_savepoints", "_skipping", "_status", "_timeout_s",
    )  # fmt: skip

    def __init__(self, postmaster: Postmaster, exchange: Exchange, *, process_id: int, timeout_s: float) -> None:
        """`timeout_s` is the session's own statement timeout; 0: none."""
        self._postmaster = postmaster
        self._exchange = exchange
        self._out = exchange.out
        self._process_id = process_id
        self._timeout_s = timeout_s
        self._status = "I"
        """As ReadyForQuery says it: idle, in a transaction, in a failed one."""
        self._prepared: dict[bytes, Prepared] = {}
        self._portals: dict[bytes, Portal] = {}
        self._channels: dict[str, None] = {}
        """A dict as an ordered set: the order in which a client is told must not depend on the hash seed."""
        self._savepoints: list[str] = []
        """Of the transaction, in their order; two may have the same name."""
        self._skipping = False
        """After an error in an extended query: everything until Sync is left out."""
        self._in_simple = False

    def notify(self, process_id: int, channel: str, payload: str) -> None:
        """Tell the client, between two statements, if it listens to this channel."""
        if channel in self._channels:
            self._out += wire.notification(process_id, channel, payload)
            if not self._exchange.busy:
                self._exchange.flush()

    def carry_out(self, packet: Message) -> None:
        extended = _EXTENDED.get(packet.type)
        if extended is not None:
            if not self._skipping:
                try:
                    extended(self, packet.body)
                except StatementError as error:
                    self.fail(error.sqlstate, error.words)
        elif packet.type == "S":
            self._skipping = False
            if self._status == "I":
                self._portals.clear()
            self._exchange.ready(self._status)
        elif packet.type == "Q":
            statements = statements_of(_ending(packet.body))
            if not statements:
                self._out += wire.EMPTY_QUERY_RESPONSE
            self._simple(statements)
        elif packet.type == "H":
            self._exchange.flush()
        elif packet.type == "X":
            self._exchange.close()
        else:
            raise ProtocolViolationError(f"invalid frontend message type {ord(packet.type)}")

    def fail(self, sqlstate: str, words: str) -> None:
        """An error ends the statement: in a simple query that is all of it, else everything until Sync."""
        self._out += encoded(ErrorResponse("ERROR", sqlstate, words))
        if self._status == "T":
            self._status = "E"
        if self._in_simple:
            self._in_simple = False
            self._exchange.ready(self._status)
        else:
            self._skipping = True

    def _simple(self, statements: tuple[Prepared, ...]) -> None:
        """The statements of a simple query, one after the other, each in the text format."""
        self._in_simple = bool(statements)
        if not statements:
            self._exchange.ready(self._status)
            return
        try:
            self._check(statements[0])
            if statements[0].known is None and len(statements) == 1:
                # BEGIN, COMMIT, ROLLBACK: half of all that a pool's clients say.
                self._control(statements[0])
                self._in_simple = False
                self._exchange.ready(self._status)
                return
            portal = Portal(statements[0], (), ())
            seconds = self._service_s(portal)
        except StatementError as error:
            self.fail(error.sqlstate, error.words)
            return
        if seconds > 0:
            self._serve(seconds, lambda: self._finish_simple(portal, statements[1:]))
        else:
            self._finish_simple(portal, statements[1:])

    def _finish_simple(self, portal: Portal, following: tuple[Prepared, ...]) -> None:
        try:
            if portal.prepared.known is not None and portal.prepared.known.columns:
                self._out += wire.row_description(portal.prepared.known.columns, binary=False)
            self._fetch(portal, 0)
        except StatementError as error:
            self.fail(error.sqlstate, error.words)
            return
        self._simple(following)

    def _parse(self, body: bytes) -> None:
        name, text, _ = _split(body, 3)
        parsed = prepared(text)
        self._check(parsed)
        self._prepared[name] = parsed
        self._out += wire.PARSE_COMPLETE

    def _describe(self, body: bytes) -> None:
        name = _ending(body[1:])
        if body[:1] == b"S":
            described = self._statement(name)
            self._out += wire.parameter_description(described.known.parameters if described.known else ())
            binary = False
        else:
            portal = self._portal(name)
            described, binary = portal.prepared, portal.formats[:1] == (1,)
        columns = described.known.columns if described.known else ()
        self._out += wire.row_description(columns, binary=binary) if columns else wire.NO_DATA

    def _bind(self, body: bytes) -> None:
        name, statement, rest = _split(body, 3)
        bound, reader = self._statement(statement), Reader(rest)
        formats = [reader.int2() for _ in range(reader.int2())]
        values = []
        for _ in range(reader.int2()):
            size = reader.int4()
            values.append(None if size == -1 else reader.take(size))
        types = bound.known.parameters if bound.known else ()
        if len(values) != len(types):
            raise StatementError("08P01", f"bind message supplies {len(values)} parameters, not {len(types)}")
        value_formats = formats * len(values) if len(formats) == 1 else formats or [0] * len(values)
        if len(value_formats) < len(values):
            raise StatementError("08P01", f"bind message has {len(formats)} parameter formats")
        parameters = tuple(
            [
                wire.decode(value, type_, binary=bool(form))
                for value, type_, form in zip(values, types, value_formats, strict=False)
            ]
        )
        self._portals[name] = Portal(bound, parameters, tuple([reader.int2() for _ in range(reader.int2())]))
        self._out += wire.BIND_COMPLETE

    def _execute(self, body: bytes) -> None:
        name, rest = _split(body, 2)
        portal, limit = self._portal(name), Reader(rest).int4()
        if portal.rows is not None:
            self._fetch(portal, limit)
            return
        self._check(portal.prepared)
        seconds = self._service_s(portal)
        if seconds > 0:
            self._serve(seconds, lambda: self._finish_execute(portal, limit))
        else:
            self._fetch(portal, limit)

    def _serve(self, seconds: float, rest: Callable[[], None]) -> None:
        """Spend a statement's time, or as much of it as the session's own limit allows."""
        if 0 < self._timeout_s < seconds:
            self._exchange.after(self._timeout_s, lambda: self.fail(*STATEMENT_TIMEOUT))
        else:
            self._exchange.after(seconds, rest)

    def _finish_execute(self, portal: Portal, limit: int) -> None:
        try:
            self._fetch(portal, limit)
        except StatementError as error:
            self.fail(error.sqlstate, error.words)

    def _close_named(self, body: bytes) -> None:
        (self._prepared if body[:1] == b"S" else self._portals).pop(_ending(body[1:]), None)
        self._out += wire.CLOSE_COMPLETE

    def _statement(self, name: bytes) -> Prepared:
        statement = self._prepared.get(name)
        if statement is None:
            raise StatementError("26000", f'prepared statement "{name.decode(errors="replace")}" does not exist')
        return statement

    def _portal(self, name: bytes) -> Portal:
        portal = self._portals.get(name)
        if portal is None:
            raise StatementError("34000", f'portal "{name.decode(errors="replace")}" does not exist')
        return portal

    def _check(self, statement: Prepared) -> None:
        """Raises `StatementError` for what the database does not know, or will not do in a failed transaction."""
        if self._status == "E" and statement.word not in ENDS and statement.sql:
            raise StatementError(*IN_FAILED_TRANSACTION)
        if not statement.understood:
            raise StatementError("42601", f"the simulated database does not know this statement: {statement.sql}")

    def _service_s(self, portal: Portal) -> float:
        known = portal.prepared.known
        if known is None or not known.costs:
            return 0.0
        if portal.prepared.sql == SLEEP:
            return float(portal.parameters[0])
        return self._postmaster.draw_service_s()

    def _fetch(self, portal: Portal, limit: int) -> None:
        known = portal.prepared.known
        if known is None:
            self._control(portal.prepared)
            return
        if portal.rows is None:
            portal.rows = encoded_rows(portal.prepared.sql, portal.parameters, portal.formats) if known.columns else ()
        rows = portal.rows
        fetched = rows[:limit] if limit > 0 else rows
        self._out += b"".join(fetched)
        portal.rows = rows[len(fetched) :]
        if 0 < limit == len(fetched):
            self._out += message(b"s")
        else:
            self._out += wire.command_complete(known.tag.format(len(fetched)))

    def _control(self, statement: Prepared) -> None:
        """Carries out what the session understands itself: transactions, channels, the empty statement."""
        word = statement.word
        if word in BEGIN:
            if self._status == "T":
                words = "there is already a transaction in progress"
                self._out += encoded(ErrorResponse("WARNING", "25001", words), notice=True)
            self._status = "T"
            tag = "BEGIN" if word == "BEGIN" else "START TRANSACTION"
        elif word in SAVEPOINTS or (word in ROLLBACK and BACK_TO.fullmatch(statement.sql)):
            self._use_savepoint(word, statement.sql)
            tag = word
        elif word in COMMIT | ROLLBACK:
            self._savepoints.clear()
            tag = "COMMIT" if word in COMMIT and self._status != "E" else "ROLLBACK"
            self._status = "I"
        elif word in CHANNELS:
            self._use_channel(word, statement.sql)
            tag = word
        else:
            self._out += wire.EMPTY_QUERY_RESPONSE
            return
        self._out += wire.command_complete(tag)

    def _use_savepoint(self, word: str, sql: str) -> None:
        """Sets a savepoint, forgets it, or goes back to it. Raises `StatementError` where there is none."""
        back = BACK_TO.fullmatch(sql)
        name = (back.group(1) if back else sql[len(word) :].strip()).strip()
        name = re.sub(r"^SAVEPOINT\s+", "", name, flags=re.IGNORECASE).strip('"')
        if self._status == "I":
            raise StatementError(NO_TRANSACTION[0], NO_TRANSACTION[1].format("ROLLBACK TO SAVEPOINT" if back else word))
        if word == "SAVEPOINT":
            self._savepoints.append(name)
            return
        if name not in self._savepoints:
            raise StatementError(NO_SAVEPOINT[0], NO_SAVEPOINT[1].format(name))
        newest = len(self._savepoints) - 1 - self._savepoints[::-1].index(name)
        # Going back keeps the savepoint itself; releasing it does not.
        del self._savepoints[newest + (back is not None) :]
        self._status = "T"

    def _use_channel(self, word: str, sql: str) -> None:
        channel, _, payload = sql[len(word) :].strip().partition(",")
        name = channel.strip().strip('"')
        if word == "LISTEN":
            self._channels[name] = None
        elif word == "UNLISTEN":
            self._channels = {} if name == "*" else {channel: None for channel in self._channels if channel != name}
        else:
            self._postmaster.notify(self._process_id, name, payload.strip().strip("'"))


def _split(body: bytes, parts: int) -> list[bytes]:
    """Strings, each ended by a zero, and what comes after the last of them."""
    strings = body.split(b"\0", parts - 1)
    if len(strings) < parts:
        raise ProtocolViolationError("invalid string in message")
    return strings


def _ending(body: bytes) -> bytes:
    """A string that a message ends with."""
    if not body.endswith(b"\0"):
        raise ProtocolViolationError("invalid string in message")
    return body[:-1]


_EXTENDED = {
    "P": Statements._parse,  # noqa: SLF001 - one dispatch table for its own messages
    "D": Statements._describe,  # noqa: SLF001 - of this class
    "B": Statements._bind,  # noqa: SLF001 - of this class
    "E": Statements._execute,  # noqa: SLF001 - of this class
    "C": Statements._close_named,  # noqa: SLF001 - of this class
}
