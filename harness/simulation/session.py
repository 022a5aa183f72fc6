"""One session of the simulated backend: the server's end of a connection, and the order of what its client sends.

bytes ──▶ messages ──▶ Authentication (startup.py), until the client is welcome
                  └──▶ Statements (statements.py), from then on        both answer through one Exchange (exchange.py)
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from harness.model.compute import ADMIN_SHUTDOWN, ErrorResponse
from harness.model.packets import ClientMessages, Message, ProtocolViolationError, Startup
from harness.simulation.connection import End
from harness.simulation.exchange import Exchange
from harness.simulation.known import KNOWN
from harness.simulation.postmaster import Postmaster
from harness.simulation.shortcuts import KnownStatements
from harness.simulation.startup import ENCRYPTION_REQUESTS, Authentication
from harness.simulation.statements import QUERY_CANCELED, Statements


class Session(asyncio.Protocol):
    """One backend. Until `admit` it keeps silent, and what its client sends waits.

    Messages are carried out in their order, one at a time: a statement that takes time holds up those behind it.
    """

    __slots__ = (
        "_authentication", "_carry_out", "_exchange", "_messages", "_postmaster", "_queue", "_statements", "_unheard",
        "admitted", "key", "process_id", "secret",
    )  # fmt: skip

    def __init__(self, postmaster: Postmaster, key: object, process_id: int, secret: int) -> None:
        """`key` is what the compute knows this connection by; process id and secret are for cancel requests."""
        self._postmaster = postmaster
        self.key = key
        self.process_id = process_id
        self.secret = secret
        self.admitted = False
        self._messages = ClientMessages()
        self._unheard: list[bytes] = []
        """What came while it was not admitted."""
        self._queue: deque[Startup | Message] = deque()
        """What came while a step's time was being spent."""
        self._exchange = Exchange(postmaster, key, self._work)
        self._statements: Statements | None = None
        """None until the client is welcome."""
        self._authentication = Authentication(
            postmaster, self._exchange, key=key, process_id=process_id, secret=secret, welcomed=self._welcomed
        )
        self._carry_out: Callable[[Any], None] = self._authentication.carry_out

    # asyncio.Protocol:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._exchange.end = cast("End", transport)

    def data_received(self, data: bytes) -> None:
        if self._exchange.is_forgotten(heard=True):
            return
        if not self.admitted:
            self._unheard.append(data)
            if self._statements is not None:
                # A session that was paused by a suspend: to the compute this is somebody who wants it awake.
                self._postmaster.client_spoke(self.key)
            return
        if self._postmaster.watches_bytes:
            self._postmaster.client_spoke(self.key)
        self._hear(data)

    def eof_received(self) -> bool:
        # PostgreSQL takes an end of file for the client's leaving: the transport closes.
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._exchange.stop()
        self._postmaster.session_ended(self.key)

    # Called by the server:

    @property
    def is_welcome(self) -> bool:
        """Whether its client has been let in: from then on it carries out statements."""
        return self._statements is not None

    def admit(self) -> None:
        """Begin, or after a pause go on, to carry out what the client sends."""
        self.admitted = True
        unheard, self._unheard = self._unheard, []
        for data in unheard:
            self._hear(data)

    def pause(self) -> None:
        """Keep the connection, hear nothing."""
        self.admitted = False

    def fail(self, error: ErrorResponse) -> None:
        """Answer the startup message with `error`, then close."""
        self._authentication.failure = error
        self.admit()

    def terminate(self, error: ErrorResponse = ADMIN_SHUTDOWN) -> None:
        """Send `error`, then FIN."""
        self._exchange.terminate(error)

    def close(self, *, reset: bool = False) -> None:
        """FIN, or RST."""
        self._exchange.close(reset=reset)

    def freeze(self) -> None:
        """Its process is gone and a proxy keeps the connection: the client is not told, and waits until its limit."""
        self._exchange.stop()
        if self._exchange.end is not None:
            self._exchange.end.freeze()

    def vanish(self, is_back: Callable[[], bool]) -> None:
        """Its machine is gone, and `is_back` says whether there is one again: the client's kernel will find out."""
        self._exchange.stop()
        if self._exchange.end is not None:
            self._exchange.end.vanish(is_back=is_back)

    def cancel(self) -> None:
        """Cancel the statement that is being carried out, if there is one."""
        if self._exchange.busy and self._statements is not None:
            self._exchange.stop()
            self._statements.fail(*QUERY_CANCELED)
            self._work()

    def notify(self, process_id: int, channel: str, payload: str) -> None:
        """Tell the client, between two statements, if it listens to this channel."""
        if self._statements is not None:
            self._statements.notify(process_id, channel, payload)

    # Its own:

    def _welcomed(self, statement_timeout_s: float) -> None:
        source = self._postmaster.source()
        statements = KnownStatements if source is KNOWN else Statements
        self._statements = statements(
            self._postmaster,
            self._exchange,
            source,
            process_id=self.process_id,
            timeout_s=statement_timeout_s,
        )
        self._carry_out = self._statements.carry_out

    def _hear(self, data: bytes) -> None:
        self._exchange.heard()
        statements = self._statements
        if statements is not None and not self._queue and not self._exchange.busy and not self._messages.midway:
            waiting = statements.at_once(data)
            if waiting is not None:
                self._queue += waiting
                return
        try:
            for packet in self._messages.feed(data):
                if self._statements is not None and not self._queue and not self._exchange.busy:
                    # The usual case: nothing waits before it.
                    self._carry_out(packet)
                    continue
                self._queue.append(packet)
                if isinstance(packet, Startup) and packet.code not in ENCRYPTION_REQUESTS:
                    # Set as the packet is cut, not as it is carried out: how the bytes behind it are cut depends on it.
                    self._messages.started = True
        except ProtocolViolationError as error:
            self._queue.clear()
            self._exchange.violated(error)
            return
        self._work()

    def _work(self) -> None:
        """Carry out what waits, until a step takes time."""
        queue = self._queue
        try:
            while queue and not self._exchange.busy:
                self._carry_out(queue.popleft())
        except ProtocolViolationError as error:
            queue.clear()
            self._exchange.violated(error)
