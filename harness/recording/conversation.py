"""One connection between a client and PostgreSQL, listened to: which answer belongs to which of the client's messages.

client's bytes ──▶ messages ──▶ what is expected, in order ◀── messages ◀── server's bytes
                                          │
                                          ▼ Gathering
Source: PostgreSQL's documentation, "Message Flow" and "Message Formats".
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.model.packets import ClientMessages, Message, ProtocolViolationError, Reader, Startup
from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST
from harness.recording.gathering import Gathering, Key
from harness.recording.model import Answer, Column, Row
from harness.recording.sql import cursor_of, shape, split, words

ANYTIME = frozenset("NA")
"""Notices and notifications: they belong to no message of the client's."""
OWN = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "DEALLOCATE", "LISTEN", "UNLISTEN",
     "NOTIFY"}
)  # fmt: skip
"""Statements that a simulated session carries out itself: of them only the times are of use, under their shape."""
COPIES = frozenset("GHW")
ENCRYPTED = "a connection is encrypted, nothing of it could be recorded: connect with sslmode=disable (ssl=False)"


@dataclass(slots=True)
class _Portal:
    """A bound statement, and what was fetched from it so far."""

    key: Key
    values: Row = ()
    formats: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    """The result formats as Bind has them: none, one for all, or one a column."""
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    def answer(self, *, tag: str | None = None, error: dict[str, str] | None = None, columns: int = 0) -> Answer:
        width = len(self.rows[0]) if self.rows else columns
        return Answer(
            values=self.values,
            formats=self.formats,
            results=() if error is not None else spread(self.asked, width),
            rows=tuple(self.rows),
            tag=tag,
            error=error,
        )


@dataclass(slots=True)
class _Expected:
    """A message of the client's, until the server has answered it."""

    type: str
    at_s: float
    name: bytes = b""
    key: Key | None = None
    portal: _Portal | None = None
    statement: bytes = b""
    texts: tuple[str, ...] = ()
    """Of a simple query: the statements still to be answered."""


class Conversation:
    """Listens to one connection. Times are seconds of any clock that does not go back."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._client = ClientMessages()
        self._server = ClientMessages()
        self._server.started = True
        self._began_s: float | None = None
        self._asked_encryption = 0
        """Requests for encryption that are answered by a single byte, no message."""
        self._ready = False
        self._parameters: dict[str, str] = {}
        self._expected: deque[_Expected] = deque()
        self._skipping = False
        """After an error: the server leaves everything out until the client's next Sync."""
        self._free_s = 0.0
        """When the server ended the last statement: it begins the next no earlier."""
        self._keys: dict[bytes, Key] = {}
        """Of the prepared statements."""
        self._portals: dict[bytes, _Portal] = {}
        self._cursors: dict[str, _Portal] = {}
        self._heard_all = True

    def client_sent(self, data: bytes, at_s: float) -> None:
        """Bytes from the client, cut anywhere."""
        if self._began_s is None:
            self._began_s = at_s
        self._listen(self._client, data, lambda packet: self._asks(packet, at_s))

    def server_sent(self, data: bytes, at_s: float) -> None:
        """Bytes from the server, cut anywhere."""
        while data and self._asked_encryption and self._heard_all:
            self._asked_encryption -= 1
            if data[:1] in (b"S", b"G"):
                self._stop(ENCRYPTED)
            data = data[1:]
        self._listen(self._server, data, lambda packet: self._answers(packet, at_s))

    def closed(self) -> None:
        """The connection has ended: what was fetched and not finished is told."""
        for portal in [*self._portals.values(), *self._cursors.values()]:
            self._unfinished(portal)
        self._portals.clear()
        self._cursors.clear()

    def _listen(self, messages: ClientMessages, data: bytes, hear: Callable[[Startup | Message], None]) -> None:
        if not self._heard_all or not data:
            return
        try:
            for packet in messages.feed(data):
                hear(packet)
        except ProtocolViolationError as error:
            self._stop(f"a connection does not speak PostgreSQL's protocol ({error}): it was not listened to further")

    def _stop(self, why: str) -> None:
        self._heard_all = False
        self._gathering.noted(why)

    # What the client says:

    def _asks(self, packet: Startup | Message, at_s: float) -> None:
        if isinstance(packet, Startup):
            if packet.code in (SSL_REQUEST, GSSENC_REQUEST):
                self._asked_encryption += 1
            elif packet.code == CANCEL_REQUEST:
                self._heard_all = False
            else:
                self._client.started = True
            return
        if packet.type == "S":
            self._skipping = False
            self._expected.append(_Expected("S", at_s))
        elif not self._skipping and (expected := self._read(packet, at_s)) is not None:
            self._expected.append(expected)

    def _read(self, packet: Message, at_s: float) -> _Expected | None:
        reader = Reader(packet.body)
        match packet.type:
            case "P":
                name, sql = _bytes(reader), reader.string()
                declared = tuple(reader.oid() for _ in range(reader.int2()))
                return _Expected("P", at_s, name, key=(_kept(sql), declared))
            case "B":
                name, statement = _bytes(reader), _bytes(reader)
                formats = [reader.int2() for _ in range(reader.int2())]
                values = tuple(_value(reader) for _ in range(reader.int2()))
                asked = tuple(reader.int2() for _ in range(reader.int2()))
                portal = _Portal(("", ()), values, spread(tuple(formats), len(values)), asked)
                return _Expected("B", at_s, name, portal=portal, statement=statement)
            case "D" | "C":
                kind, name = reader.take(1), _bytes(reader)
                return _Expected(packet.type + kind.decode("latin-1"), at_s, name)
            case "E":
                return _Expected("E", at_s, _bytes(reader))
            case "Q":
                return _Expected("Q", at_s, texts=split(reader.string()))
            case "F":
                self._gathering.noted("a function was called over the protocol (FunctionCall): not recorded")
                return _Expected("F", at_s)
            case _:
                # Passwords, Flush, Terminate, what is copied in: none has an answer of its own.
                return None

    # What the server says:

    def _answers(self, packet: Startup | Message, at_s: float) -> None:
        assert isinstance(packet, Message)
        if packet.type in ANYTIME:
            return
        if packet.type == "S":
            reader = Reader(packet.body)
            name = reader.string()
            self._parameters[name] = reader.string()
        elif not self._ready:
            if packet.type == "Z":
                self._ready, self._free_s = True, at_s
                assert self._began_s is not None
                self._gathering.connected(at_s - self._began_s, self._parameters)
        elif packet.type == "Z":
            self._synchronised(packet.body)
        elif packet.type == "E":
            self._failed(_fields(packet.body), at_s)
        elif self._expected:
            self._heard(self._expected[0], packet, at_s)

    def _heard(self, expected: _Expected, packet: Message, at_s: float) -> None:
        if packet.type in COPIES:
            key = self._key_under_way(expected)
            if key is not None:
                self._gathering.refused(key, "COPY")
        elif packet.type in "DCIs" and expected.type in ("E", "Q"):
            self._carried_out(expected, packet, at_s)
        elif expected.type == "Q":
            if packet.type == "T":
                self._portal_of(expected)
                self._described(expected.portal, _columns(packet.body))
        elif packet.type == "t" and expected.type == "DS":
            if (key := self._keys.get(expected.name)) is not None:
                reader = Reader(packet.body)
                self._gathering.described(key, types=tuple(reader.oid() for _ in range(reader.int2())))
        elif packet.type in "123Tn":
            self._expected.popleft()
            self._acknowledged(expected, packet)

    def _acknowledged(self, expected: _Expected, packet: Message) -> None:
        """ParseComplete, BindComplete, CloseComplete, or the last message of a description."""
        if expected.type == "P" and expected.key is not None:
            self._keys[expected.name] = expected.key
            self._gathering.parsed(expected.key)
        elif expected.type == "B" and expected.portal is not None:
            self._let_go(expected.name)
            expected.portal.key = self._keys.get(expected.statement, ("", ()))
            self._portals[expected.name] = expected.portal
        elif expected.type == "CP":
            self._let_go(expected.name)
        elif expected.type == "CS":
            self._keys.pop(expected.name, None)
        elif expected.type in ("DS", "DP"):
            columns = _columns(packet.body) if packet.type == "T" else ()
            if expected.type == "DS":
                if (key := self._keys.get(expected.name)) is not None:
                    self._gathering.described(key, columns=columns)
            else:
                portal = self._portals.get(expected.name) or self._cursors.get(expected.name.decode(errors="replace"))
                self._described(portal, columns)

    def _carried_out(self, expected: _Expected, packet: Message, at_s: float) -> None:
        """DataRow, CommandComplete, EmptyQueryResponse or PortalSuspended."""
        portal = self._portal_of(expected)
        if packet.type == "D":
            reader = Reader(packet.body)
            if portal is not None:
                portal.rows.append(tuple(_value(reader) for _ in range(reader.int2())))
            return
        if portal is not None:
            portal.seconds += at_s - max(expected.at_s, self._free_s)
            if packet.type == "C":
                self._completed(portal, packet.body[:-1].decode(errors="replace"))
        self._free_s = at_s
        if expected.type == "E":
            self._expected.popleft()
            if packet.type != "s":
                self._portals.pop(expected.name, None)
        elif packet.type == "C":
            expected.portal, expected.texts = None, expected.texts[1:]

    def _completed(self, portal: _Portal, tag: str) -> None:
        sql = portal.key[0]
        word = words(sql, 1)
        name = cursor_of(sql)
        if word == ("DECLARE",) and name is not None:
            self._cursors[name] = portal
        elif word in (("FETCH",), ("MOVE",)) and name in self._cursors:
            self._fetched(self._cursors[name], portal, ended=_fetched_less(sql, tag))
        elif word == ("CLOSE",) and name in self._cursors:
            self._unfinished(self._cursors.pop(name))
        else:
            columns = self._gathering.width(portal.key)
            self._gathering.answered(portal.key, portal.answer(tag=tag, columns=columns), portal.seconds)

    def _fetched(self, cursor: _Portal, fetch: _Portal, *, ended: bool) -> None:
        """What a FETCH returned belongs to the statement that declared the cursor."""
        cursor.rows += fetch.rows
        cursor.asked = fetch.asked
        cursor.seconds += fetch.seconds
        if (columns := self._gathering.columns(fetch.key)) is not None:
            self._gathering.described(cursor.key, columns=columns)
        if ended:
            answer = cursor.answer(tag="DECLARE CURSOR", columns=self._gathering.width(cursor.key))
            self._gathering.answered(cursor.key, answer, cursor.seconds)

    def _failed(self, error: dict[str, str], at_s: float) -> None:
        if not self._expected:
            return
        failed = self._expected[0]
        seconds = at_s - max(failed.at_s, self._free_s)
        self._free_s = at_s
        portal = failed.portal if failed.type == "B" else self._portal_of(failed)
        if failed.type == "B" and portal is not None:
            portal.key = self._keys.get(failed.statement, ("", ()))
        if failed.type == "P" and failed.key is not None:
            self._gathering.not_parsed(failed.key, error, seconds)
        elif portal is not None:
            portal.rows.clear()
            self._gathering.answered(portal.key, portal.answer(error=error), portal.seconds + seconds)
        if failed.type in ("Q", "F"):
            # Ends with ReadyForQuery by itself.
            failed.texts = ()
            return
        while self._expected and self._expected[0].type != "S":
            self._expected.popleft()
        self._skipping = not self._expected

    def _synchronised(self, status: bytes) -> None:
        if self._expected and self._expected[0].type in ("S", "Q", "F"):
            self._expected.popleft()
        if status == b"I":
            # The transaction's end is that of its portals, and of cursors that were not declared WITH HOLD.
            held = {name: portal for name, portal in self._cursors.items() if "HOLD" in portal.key[0].upper().split()}
            self._cursors = {name: portal for name, portal in self._cursors.items() if name not in held}
            self.closed()
            self._cursors = held

    # Its own:

    def _portal_of(self, expected: _Expected) -> _Portal | None:
        """The one that an Execute is about; of a simple query one is made for each of its statements."""
        if expected.type == "E":
            return self._portals.get(expected.name)
        if expected.type == "Q" and expected.portal is None and expected.texts:
            expected.portal = _Portal((_kept(expected.texts[0]), ()))
        return expected.portal if expected.type == "Q" else None

    def _key_under_way(self, expected: _Expected) -> Key | None:
        portal = self._portal_of(expected)
        return None if portal is None else portal.key

    def _described(self, portal: _Portal | None, columns: tuple[Column, ...]) -> None:
        if portal is not None:
            self._gathering.described(portal.key, columns=columns)

    def _let_go(self, name: bytes) -> None:
        if (portal := self._portals.pop(name, None)) is not None:
            self._unfinished(portal)

    def _unfinished(self, portal: _Portal) -> None:
        """A portal ends before its rows did: what was fetched is still an answer."""
        if portal.rows:
            self._gathering.answered(portal.key, portal.answer(), portal.seconds)


def spread(formats: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Format codes, one a value: none stands for text, one for all."""
    if len(formats) == count:
        return formats
    return (formats[:1] or (0,)) * count


def _kept(sql: str) -> str:
    """The text that a statement is recorded under; of what says nothing, or several things at once, none."""
    statements = split(sql)
    if len(statements) != 1:
        return ""
    (sql,) = statements
    return shape(sql).text if set(words(sql, 1)) & OWN else sql


def _fetched_less(sql: str, tag: str) -> bool:
    """Whether a FETCH came to the end: all were asked for, or more than there were."""
    asked = next((part for part in sql.split() if part.isdigit()), "")
    got = tag.rsplit(" ", 1)[-1]
    return "ALL" in sql.upper().split() or (got.isdigit() and int(got) < int(asked or 1))


def _bytes(reader: Reader) -> bytes:
    return reader.string().encode()


def _value(reader: Reader) -> bytes | None:
    size = reader.int4()
    return None if size == -1 else reader.take(size)


def _columns(body: bytes) -> tuple[Column, ...]:
    reader = Reader(body)
    columns = []
    for _ in range(reader.int2()):
        name, table, number, type_ = reader.string(), reader.oid(), reader.int2(), reader.oid()
        size, modifier, _format = reader.int2(), reader.int4(), reader.int2()
        columns.append(Column(name, type_, size, modifier, table, number))
    return tuple(columns)


def _fields(body: bytes) -> dict[str, str]:
    parts = body.split(b"\0")
    return {part[:1].decode("latin-1"): part[1:].decode(errors="replace") for part in parts if part}
