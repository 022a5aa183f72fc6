"""The first half of a session: the startup packet, authentication, and the order of everything that comes after.

Messages are carried out in their order, one at a time; a statement that takes service time holds up those behind it.
What is answered goes out together, at ReadyForQuery or Flush, as PostgreSQL does.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from harness.model.compute import ADMIN_SHUTDOWN, ErrorResponse
from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST, encoded
from harness.simulation import wire
from harness.simulation.catalogue import PARAMETERS
from harness.simulation.scram import MECHANISM, Challenge, WrongPasswordError
from harness.simulation.wire import Message, ProtocolViolationError, Reader, Startup

if TYPE_CHECKING:
    from harness.simulation.backend import SimulatedPostgres
    from harness.simulation.connection import End


@dataclass(slots=True, eq=False)
class Starting(asyncio.Protocol):
    """The backend's end of one connection, up to its first ReadyForQuery. Until `admit` it keeps silent."""

    server: "SimulatedPostgres"
    key: object
    """What the compute knows this connection by."""
    process_id: int
    secret: int
    end: "End | None" = None
    admitted: bool = False
    authenticated: bool = False
    status: str = "I"
    statement_timeout_s: float = 0.0
    """0: none."""
    _messages: wire.ClientMessages = field(default_factory=wire.ClientMessages)
    _unheard: list[bytes] = field(default_factory=list)
    _queue: deque[Startup | Message] = field(default_factory=deque)
    _out: bytearray = field(default_factory=bytearray)
    _timer: asyncio.TimerHandle | None = None
    _challenge: Challenge | None = None
    _failure: ErrorResponse | None = None

    # asyncio.Protocol:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.end = cast("End", transport)

    def data_received(self, data: bytes) -> None:
        if not self.admitted:
            self._unheard.append(data)
            if self.authenticated:
                self.server.paused_client_spoke(self)
            return
        if self.server.watches_bytes:
            self.server.client_spoke(self)
        self._hear(data)

    def eof_received(self) -> bool:
        # PostgreSQL takes an end of file for the client's leaving.
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._stop()
        self.server.session_ended(self)

    # The server's:

    def admit(self) -> None:
        """Begin, or after a pause go on, to carry out what the client says."""
        self.admitted = True
        unheard, self._unheard = self._unheard, []
        for data in unheard:
            self._hear(data)

    def pause(self) -> None:
        """Keep the connection, hear nothing."""
        self.admitted = False

    def fail(self, error: ErrorResponse) -> None:
        """Answer the startup message with `error`, then close."""
        self._failure = error
        self.admit()

    def terminate(self, error: ErrorResponse = ADMIN_SHUTDOWN) -> None:
        """Say `error`, then FIN."""
        self._stop()
        self._out += encoded(error)
        self._flush()
        self.close()

    def close(self, *, reset: bool = False) -> None:
        self._stop()
        if self.end is not None:
            (self.end.abort if reset else self.end.close)()

    # Its own:

    def _hear(self, data: bytes) -> None:
        try:
            for packet in self._messages.feed(data):
                if self.authenticated and self._timer is None and not self._queue:
                    self._carry_out(packet)
                    continue
                self._queue.append(packet)
                if isinstance(packet, Startup) and packet.code not in (SSL_REQUEST, GSSENC_REQUEST):
                    self._messages.started = True
        except ProtocolViolationError as error:
            self._queue.clear()
            self._violated(error)
            return
        self._work()

    def _work(self) -> None:
        queue = self._queue
        try:
            while queue and self._timer is None:
                packet = queue.popleft()
                if self.authenticated:
                    self._carry_out(packet)
                elif isinstance(packet, Startup):
                    self._start(packet)
                else:
                    self._authenticate(packet)
        except ProtocolViolationError as error:
            queue.clear()
            self._violated(error)

    def _after(self, seconds: float, rest: Callable[[], None]) -> None:
        """Do the rest when this service time is over; without any, now."""
        if seconds <= 0:
            rest()
            return
        self._timer = self.server.loop.call_later(seconds, self._served, rest)

    def _served(self, rest: Callable[[], None]) -> None:
        self._timer = None
        rest()
        self._work()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        if self._out and self.end is not None:
            self.end.write(bytes(self._out))
        self._out.clear()

    def _violated(self, error: Exception) -> None:
        self.terminate(ErrorResponse("FATAL", "08P01", str(error)))

    # Startup:

    def _start(self, packet: Startup) -> None:
        if packet.code in (SSL_REQUEST, GSSENC_REQUEST):
            self._out += b"N"
            self._flush()
        elif packet.code == CANCEL_REQUEST:
            reader = Reader(packet.body)
            self.server.cancel(reader.int4(), reader.int4())
            self.close()
        elif packet.code >> 16 != wire.PROTOCOL_3 >> 16:
            self._violated(ProtocolViolationError(f"unsupported frontend protocol {packet.code >> 16}"))
        elif self._failure is not None:
            self.terminate(self._failure)
        elif (refused := self.server.refusal(self)) is not None:
            self.terminate(refused)
        else:
            limit_ms = packet.parameters().get("statement_timeout", "0")
            self.statement_timeout_s = int(limit_ms) / 1000 if limit_ms.isdigit() else 0.0
            self._identify()

    def _identify(self) -> None:
        """Ask who it is; where everybody is trusted, welcome it."""
        if self.server.password is None:
            self._after(self.server.draw_connect_s(), self._welcome)
        else:
            self._out += wire.authentication(10, wire.text(MECHANISM) + b"\0")
            self._flush()

    def _authenticate(self, packet: Message) -> None:
        if packet.type != "p" or self.server.password is None:
            raise ProtocolViolationError(f"expected a password response, got message type {packet.type!r}")
        try:
            if self._challenge is None:
                reader = Reader(packet.body)
                if reader.string() != MECHANISM:
                    raise ProtocolViolationError("client selected an invalid SASL authentication mechanism")
                first = reader.take(reader.int4()).decode()
                salt, nonce = self.server.draw_salt_and_nonce()
                self._challenge = Challenge.to(first, password=self.server.password, salt=salt, nonce=nonce)
                self._out += wire.authentication(11, self._challenge.server_first.encode())
                self._flush()
            else:
                self._out += wire.authentication(12, self._challenge.verify(packet.body.decode()).encode())
                self._after(self.server.draw_connect_s(), self._welcome)
        except (WrongPasswordError, UnicodeDecodeError):
            self.terminate(ErrorResponse("FATAL", "28P01", "password authentication failed"))

    def _welcome(self) -> None:
        self.authenticated = True
        self._out += wire.AUTHENTICATION_OK
        for name, value in PARAMETERS.items():
            self._out += wire.parameter_status(name, value)
        self._out += wire.backend_key_data(self.process_id, self.secret)
        self._ready()

    def _ready(self) -> None:
        self._out += wire.READY[self.status]
        self._flush()
        if self.server.watches_bytes:
            self.server.answered(self, idle=self.status == "I")

    def _carry_out(self, packet: Any) -> None:  # noqa: ANN401 - a Message: a client that has started sends no Startup
        """Carry out one message of an authenticated client."""
        raise NotImplementedError
