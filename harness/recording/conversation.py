"""One connection between a client and PostgreSQL, listened to: which answer belongs to which of the client's messages.

client's bytes ──▶ messages ──▶ what is expected, in order ◀── messages ◀── server's bytes
                                          │
                                          ▼ Gathering
Source: PostgreSQL's documentation, "Message Flow" and "Message Formats".
"""

from collections import Counter, deque
from collections.abc import Callable

from harness.model.packets import ClientMessages, Message, ProtocolViolationError, Reader, Startup
from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST
from harness.recording.gathering import Gathering, Key
from harness.recording.messages import (
    Expected,
    Portal,
    columns_of,
    expected_of,
    fields_of,
    has_fetched_all,
    only_statement,
    value_of,
)
from harness.recording.model import Column, Row
from harness.recording.sql import cursor_of, words

ANYTIME = frozenset("NA")
"""Notices and notifications: they belong to no message of the client's."""
COPIES = frozenset("GHW")
ENCRYPTED = "a connection is encrypted, nothing of it could be recorded: connect with sslmode=disable (ssl=False)"


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
        self.process_id: int | None = None
        """Of the connection's backend; None: it has not said so yet."""
        self._ready = False
        self._parameters: dict[str, str] = {}
        self._expected: deque[Expected] = deque()
        self._skipping = False
        """After an error: the server leaves everything out until the client's next Sync."""
        self._free_s = 0.0
        """When the server ended the last statement: it begins the next no earlier."""
        self._keys: dict[bytes, Key] = {}
        """Of the prepared statements."""
        self._portals: dict[bytes, Portal] = {}
        self._cursors: dict[str, Portal] = {}
        self._cpu_s: float | None = None
        """What the backend had computed when the client last began to speak."""
        self._carried_out_last: Key | None = None
        self._computed: set[Key] = set()
        """What this connection has carried out before."""
        self._turns: Counter[tuple[Key, Row]] = Counter()
        """How often this transaction has asked the same."""
        self._heard_all = True

    def client_sent(self, data: bytes, at_s: float, cpu_s: float | None = None) -> None:
        """Bytes from the client, cut anywhere. `cpu_s`: what its backend has computed so far, in seconds."""
        if self._began_s is None:
            self._began_s = at_s
        if cpu_s is not None and self._ready and not self._expected:
            self._has_computed(cpu_s)
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
            self._expected.append(Expected("S", at_s))
        elif not self._skipping and (expected := expected_of(packet, at_s)) is not None:
            if expected.type == "F":
                self._gathering.noted("a function was called over the protocol (FunctionCall): not recorded")
            self._expected.append(expected)

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
            if packet.type == "K":
                self.process_id = Reader(packet.body).int4()
            elif packet.type == "Z":
                self._ready, self._free_s = True, at_s
                assert self._began_s is not None
                self._gathering.connected(at_s - self._began_s, self._parameters)
        elif packet.type == "Z":
            self._synchronised(packet.body)
        elif packet.type == "E":
            self._failed(fields_of(packet.body), at_s)
        elif self._expected:
            self._heard(self._expected[0], packet, at_s)

    def _heard(self, expected: Expected, packet: Message, at_s: float) -> None:
        if packet.type in COPIES:
            key = self._key_under_way(expected)
            if key is not None:
                self._gathering.refused(key, "COPY")
        elif packet.type in "DCIs" and expected.type in ("E", "Q"):
            self._carried_out(expected, packet, at_s)
        elif expected.type == "Q":
            if packet.type == "T":
                self._portal_of(expected)
                self._described(expected.portal, columns_of(packet.body))
        elif packet.type == "t" and expected.type == "DS":
            if (key := self._keys.get(expected.name)) is not None:
                reader = Reader(packet.body)
                self._gathering.described(key, types=tuple(reader.oid() for _ in range(reader.int2())))
        elif packet.type in "123Tn":
            self._expected.popleft()
            self._acknowledged(expected, packet)

    def _acknowledged(self, expected: Expected, packet: Message) -> None:
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
            columns = columns_of(packet.body) if packet.type == "T" else ()
            if expected.type == "DS":
                if (key := self._keys.get(expected.name)) is not None:
                    self._gathering.described(key, columns=columns)
            else:
                portal = self._portals.get(expected.name) or self._cursors.get(expected.name.decode(errors="replace"))
                self._described(portal, columns)

    def _carried_out(self, expected: Expected, packet: Message, at_s: float) -> None:
        """DataRow, CommandComplete, EmptyQueryResponse or PortalSuspended."""
        portal = self._portal_of(expected)
        if packet.type == "D":
            reader = Reader(packet.body)
            if portal is not None:
                portal.rows.append(tuple(value_of(reader) for _ in range(reader.int2())))
            return
        if portal is not None:
            self._take_turn(portal)
            portal.seconds += at_s - max(expected.at_s, self._free_s)
            self._carried_out_last = portal.key
            if packet.type == "C":
                self._completed(portal, packet.body[:-1].decode(errors="replace"))
        self._free_s = at_s
        if expected.type == "E":
            self._expected.popleft()
            if packet.type != "s":
                self._portals.pop(expected.name, None)
        elif packet.type == "C":
            expected.portal, expected.texts = None, expected.texts[1:]

    def _has_computed(self, cpu_s: float) -> None:
        """The backend waits for its client: what it has computed since it last did, the last statement cost it.

        Parsing included, which is a message of its own: with a driver that prepares, that is most of a first time.
        """
        if self._cpu_s is None:
            self._gathering.connection_computed(cpu_s)
        elif self._carried_out_last is not None:
            key = self._carried_out_last
            self._gathering.computed(key, cpu_s - self._cpu_s, first=key not in self._computed)
            self._computed.add(key)
        else:
            return
        self._cpu_s, self._carried_out_last = cpu_s, None

    def _completed(self, portal: Portal, tag: str) -> None:
        sql = portal.key[0]
        word = words(sql, 1)
        name = cursor_of(sql)
        if word == ("DECLARE",) and name is not None:
            self._cursors[name] = portal
        elif word in (("FETCH",), ("MOVE",)) and name in self._cursors:
            self._fetched(self._cursors[name], portal, ended=has_fetched_all(sql, tag))
        elif word == ("CLOSE",) and name in self._cursors:
            self._unfinished(self._cursors.pop(name))
        else:
            columns = self._gathering.width(portal.key)
            self._gathering.answered(portal.key, portal.answer(tag=tag, columns=columns), portal.seconds)

    def _fetched(self, cursor: Portal, fetch: Portal, *, ended: bool) -> None:
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
            self._carried_out_last = portal.key
            portal.rows.clear()
            self._take_turn(portal)
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
            self._turns.clear()

    # Its own:

    def _portal_of(self, expected: Expected) -> Portal | None:
        """The one that an Execute is about; of a simple query one is made for each of its statements."""
        if expected.type == "E":
            return self._portals.get(expected.name)
        if expected.type == "Q" and expected.portal is None and expected.texts:
            expected.portal = Portal((only_statement(expected.texts[0]), ()))
        return expected.portal if expected.type == "Q" else None

    def _take_turn(self, portal: Portal) -> None:
        """When it is executed for the first time."""
        if portal.turn:
            return
        asked = (portal.key, portal.values)
        self._turns[asked] += 1
        portal.turn = self._turns[asked]

    def _key_under_way(self, expected: Expected) -> Key | None:
        portal = self._portal_of(expected)
        return None if portal is None else portal.key

    def _described(self, portal: Portal | None, columns: tuple[Column, ...]) -> None:
        if portal is not None:
            self._gathering.described(portal.key, columns=columns)

    def _let_go(self, name: bytes) -> None:
        if (portal := self._portals.pop(name, None)) is not None:
            self._unfinished(portal)

    def _unfinished(self, portal: Portal) -> None:
        """A portal ends before its rows did: what was fetched is still an answer."""
        if portal.rows:
            self._gathering.answered(portal.key, portal.answer(), portal.seconds)
