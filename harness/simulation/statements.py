"""The second half of a session: simple and extended query, transactions, channels.

Source of the order of messages, and of what an error leaves out: PostgreSQL's documentation, "Message Flow".
"""

from collections.abc import Callable
from functools import partial

from harness.model.packets import Message, ProtocolViolationError, Reader
from harness.model.protocol import message
from harness.simulation import wire
from harness.simulation.exchange import Exchange
from harness.simulation.postmaster import Postmaster
from harness.simulation.source import Portal, Prepared, Source, StatementError
from harness.simulation.transaction import ENDS, IN_FAILED_TRANSACTION, Transaction

QUERY_CANCELED = ("57014", "canceling statement due to user request")
STATEMENT_TIMEOUT = ("57014", "canceling statement due to statement timeout")


class Statements:
    """Carries out the messages of a client that is welcome."""

    __slots__ = (
        "_exchange", "_in_simple", "_out", "_portals", "_postmaster", "_prepared", "_skipping", "_source", "_timeout_s",
        "_transaction",
    )  # fmt: skip

    def __init__(
        self, postmaster: Postmaster, exchange: Exchange, source: Source, *, process_id: int, timeout_s: float
    ) -> None:
        """`timeout_s` is the session's own statement timeout; 0: none."""
        self._postmaster = postmaster
        self._exchange = exchange
        self._source = source
        self._out = exchange.out
        self._timeout_s = timeout_s
        self._transaction = Transaction(partial(postmaster.notify, process_id))
        self._prepared: dict[bytes, Prepared] = {}
        self._portals: dict[bytes, Portal] = {}
        self._skipping = False
        """After an error in an extended query: everything until Sync is left out."""
        self._in_simple = False

    def notify(self, process_id: int, channel: str, payload: str) -> None:
        """Tell the client, between two statements, if it listens to this channel."""
        if channel in self._transaction.channels:
            self._out += wire.notification(process_id, channel, payload)
            if not self._exchange.busy:
                self._exchange.flush()

    def at_once(self, data: bytes) -> tuple[Message, ...] | None:  # noqa: ARG002 - a source may have shortcuts
        """Carry out whole messages without cutting them apart, as `carry_out` would one after the other.

        What has to wait until a step's time has been spent; None: nothing was done, they have to be cut.
        """
        return None

    def carry_out(self, packet: Message) -> None:
        extended = _EXTENDED.get(packet.type)
        if extended is not None:
            if not self._skipping:
                try:
                    extended(self, packet.body)
                except StatementError as error:
                    self._fail(error)
        elif packet.type == "S":
            self._sync()
        elif packet.type == "Q":
            statements = self._source.simple(_ending(packet.body))
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
        self._fail(StatementError(sqlstate, words))

    def _fail(self, error: StatementError) -> None:
        self._out += error.encoded()
        if self._transaction.status == "T":
            self._transaction.status = "E"
        if self._in_simple:
            self._in_simple = False
            self._ready()
        else:
            self._skipping = True

    def _sync(self) -> None:
        self._skipping = False
        if self._transaction.status == "I":
            self._portals.clear()
        self._ready()

    def _simple(self, statements: tuple[Prepared, ...]) -> None:
        """The statements of a simple query, one after the other, each in the text format."""
        self._in_simple = bool(statements)
        if not statements:
            self._ready()
            return
        first = statements[0]
        try:
            self._check(first)
            if first.own and not first.own_s and len(statements) == 1:
                # BEGIN, COMMIT, ROLLBACK: half of all that a pool's clients say.
                self._control(first)
                self._in_simple = False
                self._ready()
                return
            portal = first.bound((), (), ())
            seconds, cpu_s = self._takes(portal)
        except StatementError as error:
            self._fail(error)
            return
        if seconds > 0:
            self._serve(seconds, cpu_s, lambda: self._finish_simple(portal, statements[1:]))
        else:
            self._finish_simple(portal, statements[1:])

    def _finish_simple(self, portal: Portal, following: tuple[Prepared, ...]) -> None:
        try:
            self._out += portal.row_description()
            self._fetch(portal, 0)
        except StatementError as error:
            self._fail(error)
            return
        self._simple(following)

    def _parse(self, body: bytes) -> None:
        name, text, types = split(body, 3)
        parsed = self._source.prepared(text, types)
        self._check(parsed)
        self._prepared[name] = parsed
        self._out += wire.PARSE_COMPLETE

    def _describe(self, body: bytes) -> None:
        name = _ending(body[1:])
        if body[:1] == b"S":
            self._out += self._statement(name).described()
        else:
            self._out += self._portal(name).row_description() or wire.NO_DATA

    def _bind(self, body: bytes) -> None:
        name, statement, rest = split(body, 3)
        self._portals[name] = bound(self._statement(statement), rest)
        self._out += wire.BIND_COMPLETE

    def _execute(self, body: bytes) -> None:
        name, rest = split(body, 2)
        portal, limit = self._portal(name), Reader(rest).int4()
        if portal.rows is not None:
            self._fetch(portal, limit)
            return
        self._check(portal.prepared)
        seconds, cpu_s = self._takes(portal)
        if seconds > 0:
            self._serve(seconds, cpu_s, lambda: self._finish_execute(portal, limit))
        else:
            self._fetch(portal, limit)

    def _serve(self, seconds: float, cpu_s: float, rest: Callable[[], None]) -> None:
        """Spend a statement's time, or as much of it as the session's own limit allows."""
        if 0 < self._timeout_s < seconds:
            self._exchange.after(self._timeout_s, lambda: self.fail(*STATEMENT_TIMEOUT))
        else:
            self._exchange.after(seconds, rest, cpu_s=cpu_s)

    def _finish_execute(self, portal: Portal, limit: int) -> None:
        try:
            self._fetch(portal, limit)
        except StatementError as error:
            self._fail(error)

    def _close_named(self, body: bytes) -> None:
        (self._prepared if body[:1] == b"S" else self._portals).pop(_ending(body[1:]), None)
        self._out += wire.CLOSE_COMPLETE

    def _statement(self, name: bytes) -> Prepared:
        statement = self._prepared.get(name)
        if statement is None:
            raise StatementError("26000", f'prepared statement "{name.decode(errors="replace")}" does not exist')
        return statement

    def _portal(self, name: bytes) -> Portal:
        portal = self._portals.get(name) or self._source.cursor(name)
        if portal is None:
            raise StatementError("34000", f'portal "{name.decode(errors="replace")}" does not exist')
        return portal

    def _check(self, statement: Prepared) -> None:
        """Raises `StatementError` for what the database does not know, or will not do in a failed transaction."""
        if self._transaction.status == "E" and statement.word not in ENDS and statement.sql:
            raise StatementError(*IN_FAILED_TRANSACTION)
        statement.check()

    def _takes(self, portal: Portal) -> tuple[float, float]:
        """What it takes on cores of its own, in seconds, and how much of that is computing."""
        prepared = portal.prepared
        if prepared.own:
            return max(prepared.own_s, prepared.own_cpu_s), prepared.own_cpu_s
        seconds = portal.seconds(self._postmaster.draw_service_s)
        return max(seconds, portal.cpu_s), portal.cpu_s

    def _fetch(self, portal: Portal, limit: int) -> None:
        if portal.prepared.own:
            self._control(portal.prepared)
            return
        if portal.rows is None:
            portal.rows = portal.answer()
        answer, portal.rows = fetched(portal, portal.rows, limit)
        self._out += answer

    def _control(self, statement: Prepared) -> None:
        """Carries out what the session understands itself."""
        self._out += self._transaction.carry_out(statement.word, statement.sql)

    def _ready(self) -> None:
        status = self._transaction.status
        if status == "I":
            self._source.transaction_ended()
        self._exchange.ready(status)


def bound(statement: Prepared, rest: bytes) -> Portal:
    """A portal from what follows the names in a Bind message. Raises `StatementError` for values that don't fit."""
    reader = Reader(rest)
    formats = [reader.int2() for _ in range(reader.int2())]
    values = []
    for _ in range(reader.int2()):
        size = reader.int4()
        values.append(None if size == -1 else reader.take(size))
    value_formats = formats * len(values) if len(formats) == 1 else formats or [0] * len(values)
    if len(value_formats) < len(values):
        raise StatementError("08P01", f"bind message has {len(formats)} parameter formats")
    return statement.bound(values, value_formats, tuple([reader.int2() for _ in range(reader.int2())]))


def fetched(portal: Portal, rows: tuple[bytes, ...], limit: int) -> tuple[bytes, tuple[bytes, ...]]:
    """So many of a portal's rows (0: all) with how the answer to Execute ends, and the rows that are left."""
    asked = rows[:limit] if limit > 0 else rows
    ending = message(b"s") if 0 < limit == len(asked) else wire.command_complete(portal.tag.format(len(asked)))
    return b"".join(asked) + ending, rows[len(asked) :]


def split(body: bytes, parts: int) -> list[bytes]:
    """Strings, each ended by a zero, and what comes after the last of them."""
    strings = body.split(b"\0", parts - 1)
    if len(strings) < parts:
        raise ProtocolViolationError("invalid string in message")
    return strings


def _ending(body: bytes) -> bytes:
    """A string that a message ends with."""
    ending = body.find(b"\0") + 1
    if ending != len(body) or not ending:
        raise ProtocolViolationError("invalid message format" if ending else "invalid string in message")
    return body[:-1]


_EXTENDED = {
    "P": Statements._parse,  # noqa: SLF001 - one dispatch table for its own messages
    "D": Statements._describe,  # noqa: SLF001 - of this class
    "B": Statements._bind,  # noqa: SLF001 - of this class
    "E": Statements._execute,  # noqa: SLF001 - of this class
    "C": Statements._close_named,  # noqa: SLF001 - of this class
}
