"""What clients say again and again, recognised whole: the same answers as message by message, for a third of the work.

A request of asyncpg's says nine things, and but for a statement's name and its parameters they are the same in every
request. Each is looked up by its bytes: the first time they are cut into messages and understood as statements.py does
it, and whatever is not exactly of one of these forms, or would be an error, is left to statements.py every time.

Q                      BEGIN, COMMIT, ROLLBACK
Parse, Describe, Flush; Parse
Bind, Execute, Sync
Close, Sync
"""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

from harness.model.packets import ClientMessages, Message, ProtocolViolationError, Reader
from harness.model.protocol import message
from harness.simulation import wire
from harness.simulation.known import KnownPortal, KnownStatement, prepared, statements_of
from harness.simulation.source import StatementError
from harness.simulation.statements import Statements, bound, fetched, split
from harness.simulation.transaction import SESSION_WORDS, Transaction

FLUSH, SYNC = message(b"H"), message(b"S")
SYNC_MESSAGE = Message("S", b"")
CONTROLS = ("BEGIN;", "COMMIT;", "ROLLBACK;", "BEGIN", "COMMIT", "ROLLBACK")
"""As asyncpg says them, and as psycopg does."""
PARSE, BIND, CLOSE = b"PBC"
KEPT = 4096
"""Executions that a statement remembers."""


class Control(NamedTuple):
    """A statement that begins or ends a transaction."""

    answer: bytes
    status: str
    """Of the transaction, afterwards."""


class Execution(NamedTuple):
    """Bind, Execute and Sync of one statement."""

    parameters: tuple[object, ...]
    formats: tuple[int, ...]
    answer: bytes
    """To Execute."""
    left: tuple[bytes, ...] | None
    """The portal's rows that were not asked for; None: the session carries the statement out itself."""


class KnownStatements(Statements):
    """`Statements` of a client whose statements are answered from the catalogue, with shortcuts."""

    __slots__ = ()

    def at_once(self, data: bytes) -> tuple[Message, ...] | None:
        transaction = self._transaction
        if self._skipping or transaction.status == "E":
            return None
        control = _CONTROLS.get((transaction.status, data))
        if control is not None:
            transaction.turn_to(control.status)
            self._out += control.answer
            self._exchange.ready(control.status)
            return ()
        kind = data[0]
        if kind == BIND:
            return self._execute_at_once(data)
        if kind == PARSE:
            return self._parse_at_once(data)
        if kind == CLOSE and data[-5:] == SYNC and data[1:6] == _length(len(data) - 6) + b"S":
            if data.find(b"\0", 6) != len(data) - 6:
                return None
            self._prepared.pop(data[6:-6], None)
            self._out += wire.CLOSE_COMPLETE
            self._sync()
            return ()
        return None

    def _parse_at_once(self, data: bytes) -> tuple[Message, ...] | None:
        end = data.find(b"\0", 5)
        name = data[5:end]
        if data[-5:] != FLUSH:
            statement = _parsed(data) if end == 5 else None
            if statement is None:
                return None
            self._prepared[b""] = statement
            self._out += wire.PARSE_COMPLETE
            return ()
        described = len(name) + 6
        if end < 0 or data[-described:-5] != name + b"\0":
            return None
        found = _parsed_and_described(len(name), data[:5], data[end:-described])
        if found is None:
            return None
        self._prepared[name], answer = found
        self._out += answer
        self._exchange.flush()
        return ()

    def _execute_at_once(self, data: bytes) -> tuple[Message, ...] | None:
        end = data.find(b"\0", 6)
        statement = self._prepared.get(data[6:end])
        if data[5] or end < 0 or not isinstance(statement, KnownStatement):
            return None
        # The name's length is in the key, because the lengths of the messages count it.
        key = end, data[1:5] + data[end:]
        executions = statement.executions
        if key not in executions:
            if len(executions) >= KEPT:
                executions.clear()
            executions[key] = _execution(statement, data)
        execution = executions[key]
        if execution is None:
            return None
        portal = KnownPortal(statement, execution.parameters, execution.formats)
        self._portals[b""] = portal
        self._out += wire.BIND_COMPLETE
        if execution.left is not None:
            seconds = portal.seconds(self._postmaster.draw_service_s)
            if seconds > 0:
                self._serve(seconds, 0.0, lambda: self._answer(portal, execution))
                return (SYNC_MESSAGE,)
        self._answer(portal, execution)
        self._sync()
        return ()

    def _answer(self, portal: KnownPortal, execution: Execution) -> None:
        self._out += execution.answer
        portal.rows = execution.left


def _length(count: int) -> bytes:
    return count.to_bytes(4, "big", signed=True)


def _whole(data: bytes) -> tuple[str, list[bytes]]:
    """The types and the bodies of these messages. Raises `ProtocolViolationError`, also for a piece of a message."""
    messages = ClientMessages()
    messages.started = True
    found = [packet for packet in messages.feed(data) if isinstance(packet, Message)]
    if messages.midway:
        raise ProtocolViolationError("insufficient data left in message")
    return "".join(packet.type for packet in found), [packet.body for packet in found]


def _known(parse: bytes, name: bytes) -> KnownStatement | None:
    """The statement of a Parse message's body; None: an error, or not of this name."""
    named, text, _types = split(parse, 3)
    if named != name:
        return None
    statement = prepared(text)
    return statement if statement.known is not None or statement.word in SESSION_WORDS else None


@lru_cache(maxsize=KEPT)
def _parsed(data: bytes) -> KnownStatement | None:
    """The unnamed statement of one Parse message."""
    try:
        types, bodies = _whole(data)
        return _known(bodies[0], b"") if types == "P" else None
    except ProtocolViolationError:
        return None


@lru_cache(maxsize=KEPT)
def _parsed_and_described(length: int, head: bytes, middle: bytes) -> tuple[KnownStatement, bytes] | None:
    """The statement that is prepared and described under a name of this length, and the answer.

    `head` is what comes before the name, `middle` what is between its two places: together they decide the rest.
    """
    name = b"n" * length
    try:
        types, bodies = _whole(head + name + middle + name + b"\0" + FLUSH)
        if types != "PDH" or bodies[1] != b"S" + name + b"\0":
            return None
        statement = _known(bodies[0], name)
    except ProtocolViolationError:
        return None
    return None if statement is None else (statement, wire.PARSE_COMPLETE + statement.described())


def _execution(statement: KnownStatement, data: bytes) -> Execution | None:
    """Bind of the unnamed portal, Execute and Sync, as statements.py has them; None: not of this form, or an error."""
    if statement.own and statement.sql:
        # What it does depends on the session.
        return None
    try:
        types, bodies = _whole(data)
        if types != "BES" or bodies[2] or bodies[1][:1] != b"\0":
            return None
        portal = bound(statement, split(bodies[0], 3)[2])
        assert isinstance(portal, KnownPortal)
        limit = Reader(bodies[1][1:]).int4()
        if statement.own:
            return Execution((), portal.formats, wire.EMPTY_QUERY_RESPONSE, None)
        if None in portal.parameters:
            return None
        answer, left = fetched(portal, portal.answer(), limit)
    except (ProtocolViolationError, StatementError):
        return None
    return Execution(portal.parameters, portal.formats, answer, left)


def _control(words: str, status: str) -> Control:
    """What a session in this transaction status makes of a simple query."""
    (statement,) = statements_of(words.encode())
    transaction = Transaction(lambda _channel, _payload: None)
    transaction.status = status
    answer = transaction.carry_out(statement.word, statement.sql)
    return Control(answer, transaction.status)


_CONTROLS = {
    (status, message(b"Q", wire.text(words))): _control(words, status)
    for words, status in product(CONTROLS, "IT")
    # A BEGIN within a transaction is a mistake, which keeps the savepoints.
    if not (status == "T" and words.startswith("BEGIN"))
}
