"""One client's connection through a proxy: two ends, a link each way, and what a compute may do to it."""

import asyncio
from enum import StrEnum
from time import monotonic
from typing import Protocol

from harness.model.compute import ErrorResponse
from harness.model.protocol import encoded
from harness.processes.proxy_messages import AnyProxyEvent, DialFailed
from harness.proxy.departures import Departures
from harness.proxy.end import NOBODY, End
from harness.proxy.link import AttachedToxic, Link
from harness.proxy.silence import Silence, can_silence
from harness.proxy.startup import StartupAnswer
from harness.proxy.tasks import started
from harness.proxy.way import Way

EARLY_LIMIT = 2**16
"""Bytes kept of a client that speaks before it is connected onward; more are left in its socket."""
NOT_CONNECTED = "not connected onward"
REAP_LATE_S = 0.001
"""A look at an idle connection comes so long after the moment from which on it is forgotten."""


class ConnectionStage(StrEnum):
    """Where a connection stands."""

    ACCEPTED = "accepted"
    HELD = "held"
    """Accepted, kept in silence, not dialled: until the wake."""
    DIALLING = "dialling"
    OPEN = "open"
    PAUSED = "paused"
    """Both ends are kept, and what the client sends is kept back: until the wake."""
    FROZEN = "frozen"
    """Half-open: the client's end alone is left, and nobody answers it any more."""
    VANISHED = "vanished"
    """Half-open, and nobody acknowledges what the client sends either."""
    FAILING = "failing"
    """Its startup message is answered with an error."""
    CLOSED = "closed"


WAITING = (ConnectionStage.HELD, ConnectionStage.PAUSED, ConnectionStage.FROZEN)
"""Stages that may last, in which a client that leaves must be noticed though nobody reads its bytes."""


class ConnectionOwner(Protocol):
    """What a connection needs of the proxy that accepted it."""

    name: str
    departures: Departures

    @property
    def upstream_address(self) -> tuple[str, int]: ...

    way: Way | None
    """What else its connections meet on their way; None: nothing."""

    @property
    def watches_bytes(self) -> bool:
        """Whether it must hear of bytes on an open connection."""
        ...

    def toxics_of(self, stream: str) -> list[AttachedToxic]: ...

    def report(self, event: AnyProxyEvent) -> None: ...

    def opened(self, connection: "Connection") -> None: ...

    def closed(self, connection: "Connection") -> None: ...

    def forgotten(self, connection: "Connection") -> None:
        """The way has forgotten it: the upstream session has ended, and the client does not know."""
        ...

    def client_sent(self, connection: "Connection", data: bytes) -> None: ...

    def server_sent(self, connection: "Connection", data: bytes) -> None: ...


class Connection:
    """A client that was accepted, from there to its end."""

    def __init__(self, proxy: ConnectionOwner, number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.stage = ConnectionStage.ACCEPTED
        self.client = End(self)
        self.upstream = End(self)
        self.client.peer, self.upstream.peer = self.upstream, self.client
        self.to_upstream: Link | None = None
        self.to_client: Link | None = None
        self.dialling: asyncio.Task[None] | None = None
        self._active_at_s = monotonic()
        """When bytes last moved, where somebody must know."""
        self._early: list[bytes] = []
        self._early_size = 0
        self._client_ended = False
        self._answer: StartupAnswer | None = None
        self._silence: Silence | None = None
        self._returns = False
        """Whether a vanished one is answered once the compute is awake."""
        self._reaping: asyncio.TimerHandle | None = None

    @property
    def is_closed(self) -> bool:
        return self.stage is ConnectionStage.CLOSED

    @property
    def links(self) -> list[Link]:
        return [link for link in (self.to_upstream, self.to_client) if link is not None]

    def early(self, data: bytes) -> None:
        """The client sends something before it is connected onward, or while it is paused or frozen."""
        if self.stage is ConnectionStage.FROZEN or self.stage is ConnectionStage.CLOSED:
            return
        if self._answer is not None:
            self._answer.feed(data)
            return
        self._early.append(data)
        self._early_size += len(data)
        if self._early_size > EARLY_LIMIT:
            self.client.pause(NOT_CONNECTED)
            self._watch_unread_client()
        if self.stage is ConnectionStage.PAUSED:
            # That something came; what it is, when it goes on.
            self.proxy.client_sent(self, b"")

    def _watch_unread_client(self) -> None:
        # Its FIN waits behind bytes that are not read: else its statement would be carried out at the wake without it.
        transport = self.client.transport
        if self.stage in WAITING and self.client.is_paused and transport is not None:
            self.proxy.departures.watch(transport.get_extra_info("socket").fileno(), self.close)

    def _read_client_again(self) -> None:
        if self.client.is_paused and self.client.transport is not None:
            self.proxy.departures.forget(self.client.transport.get_extra_info("socket").fileno())
        self.client.resume(NOT_CONNECTED)

    def hold(self) -> None:
        """Keep the client waiting, without a word and without an upstream."""
        self.stage = ConnectionStage.HELD
        self._watch_unread_client()

    def fail(self, error: ErrorResponse) -> None:
        """Answer the startup message with `error`, then close."""
        self.stage = ConnectionStage.FAILING
        self._answer = StartupAnswer(error, self.client.write, self.close)
        for data in self._early:
            self._answer.feed(data)

    def dial(self) -> None:
        """Connect onward, then let the bytes move."""
        self.stage = ConnectionStage.DIALLING
        self.dialling = started(self._dial(), name=f"dial {self.number}", on_failure=self.close)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        if self.proxy.way is not None:
            await self.proxy.way.connect()
        try:
            host, port = self.proxy.upstream_address
            await loop.create_connection(lambda: self.upstream, host, port)
        except (OSError, ValueError) as error:
            # ValueError: a host that can't be looked up at all, of an empty label or with a NUL in it.
            # As Toxiproxy: a client whose upstream can't be reached sees an end of file.
            self.proxy.report(
                DialFailed(proxy=self.proxy.name, at_s=monotonic(), connection=self.number, error=str(error))
            )
            self.close()
            return
        if self.stage is not ConnectionStage.DIALLING:
            # It was closed meanwhile.
            self.upstream.shut(reset=False)
            return
        self._open()

    def _open(self) -> None:
        self.stage = ConnectionStage.OPEN
        self._active_at_s = monotonic()
        self.to_upstream = Link(self.upstream, self.proxy.toxics_of("upstream"))
        self.to_client = Link(self.client, self.proxy.toxics_of("downstream"))
        self._connect_ends()
        self._flush_early()
        self.proxy.opened(self)
        self._reap()
        if self._client_ended:
            # After what it sent early: the upstream reads all of it, then the end.
            self.to_upstream.end()

    def _connect_ends(self) -> None:
        assert self.to_upstream is not None
        assert self.to_client is not None
        # Straight from the socket to the link, unless somebody must see every byte.
        watch = self.proxy.watches_bytes or (self.proxy.way is not None and self.proxy.way.reaper is not None)
        self.client.data_received = self._watched_client if watch else self.to_upstream.feed
        self.upstream.data_received = self._watched_server if watch else self.to_client.feed

    def _flush_early(self) -> None:
        assert self.to_upstream is not None
        early, self._early, self._early_size = self._early, [], 0
        if early:
            # In one piece: were the upstream lost already, each further write would be a line in the log.
            self._watched_client(b"".join(early))
        self._read_client_again()

    def _watched_client(self, data: bytes) -> None:
        assert self.to_upstream is not None
        if self._is_forgotten():
            return
        self.proxy.client_sent(self, data)
        self.to_upstream.feed(data)

    def _watched_server(self, data: bytes) -> None:
        assert self.to_client is not None
        if self._is_forgotten():
            return
        self.proxy.server_sent(self, data)
        self.to_client.feed(data)

    def _is_forgotten(self) -> bool:
        """Bytes come: whether the way had forgotten the connection meanwhile, and what happens to it then."""
        idle_since_s, self._active_at_s = self._active_at_s, monotonic()
        way = self.proxy.way
        if way is None or way.reaper is None or not way.forgets(idle_since_s):
            return False
        if way.reaper.silently:
            self._be_forgotten()
        else:
            self.close(reset=True)
        return True

    def _reap(self) -> None:
        """Look whether the way forgets the connection in silence, and when to look again.

        Before the client sends anything: what the proxy's kernel has received it has acknowledged already.
        """
        way = self.proxy.way
        if way is None or way.reaper is None or not way.reaper.silently or not can_silence():
            return
        if self.stage is ConnectionStage.OPEN and way.forgets(self._active_at_s):
            self._be_forgotten()
        elif self.stage in (ConnectionStage.OPEN, ConnectionStage.PAUSED):
            left_s = self._active_at_s + way.reaper.after_s - monotonic()
            # Never at once: a paused one is looked at again when it goes on, or after as long again.
            wait_s = left_s + REAP_LATE_S if left_s > 0 else way.reaper.after_s
            self._reaping = asyncio.get_running_loop().call_later(wait_s, self._reap)

    def _be_forgotten(self) -> None:
        if can_silence():
            self.vanish(returns=False)
            self.proxy.forgotten(self)
        else:
            self.freeze()

    def pause(self) -> None:
        """Keep both ends, and keep back what the client sends. One that is being dialled is held instead."""
        if self.stage is ConnectionStage.DIALLING:
            if self.dialling is not None:
                self.dialling.cancel()
            self._abandon_upstream()
            self.hold()
            return
        self.stage = ConnectionStage.PAUSED
        self.client.data_received = self.early
        self._watch_unread_client()

    def release(self) -> None:
        """The wake: a held connection is dialled, a paused one goes on, a vanished one is answered."""
        if self.stage is ConnectionStage.HELD:
            self.dial()
        elif self.stage is ConnectionStage.PAUSED:
            self.stage = ConnectionStage.OPEN
            self._connect_ends()
            self._flush_early()
            self.proxy.opened(self)
        else:
            self.answer()

    def freeze(self) -> None:
        """Half-open: the upstream session ends; the client hears nothing, and what it sends goes nowhere."""
        self.stage = ConnectionStage.FROZEN
        self.client.data_received = self.early
        for link in self.links:
            link.close()
        self._abandon_upstream()
        # What paused the client may have been the upstream's slowness, which nobody will end now.
        self.client.peer = None
        self._watch_unread_client()

    def vanish(self, *, returns: bool) -> None:
        """As `freeze`, but nobody acknowledges what the client sends either, so its kernel sends it again and again.

        `returns`: until `answer`. Otherwise until the connection is closed. Linux only.
        """
        transport = self.client.transport
        if transport is None or transport.is_closing():
            self.close()
            return
        if self.dialling is not None:
            self.dialling.cancel()
        self._read_client_again()
        self.stage = ConnectionStage.VANISHED
        for link in self.links:
            link.close()
        # The client's end is abandoned to `Silence`; from here on the connection has none of its own.
        self.client.owner = NOBODY
        self._silence = Silence(transport, self.close)
        self._returns = returns
        self.client = End(self)
        self._abandon_upstream()

    def answer(self) -> None:
        """The machine of a vanished connection is back: the next that comes from the client is answered by RST."""
        if self._silence is not None and self._returns:
            self._silence.answer()

    def keep_silent(self) -> None:
        """It is gone once more: a vanished connection that has not been answered by now is not answered."""
        if self._silence is not None:
            self._silence.keep()

    def _abandon_upstream(self) -> None:
        """Let the upstream's end go; whatever still happens there is nothing to this connection."""
        self.upstream.owner = NOBODY
        self.upstream.shut(reset=False)
        self.upstream = End(self)
        self.client.peer, self.upstream.peer = self.upstream, self.client

    def terminate(self, error: ErrorResponse) -> None:
        """Send `error` to the client, then close."""
        self.client.write(encoded(error))
        self.close()

    def source_ended(self, end: End) -> None:
        """An end will send no more."""
        if self.stage in (ConnectionStage.OPEN, ConnectionStage.PAUSED) and end is self.upstream:
            assert self.to_client is not None
            self.to_client.end()
        elif self.stage is ConnectionStage.OPEN:
            assert self.to_upstream is not None
            self.to_upstream.end()
        elif self.stage is ConnectionStage.DIALLING and end is self.client:
            # It will send no more, before there is an upstream to send it to.
            self._client_ended = True
        else:
            # A client that leaves before it is connected onward, or a frozen one that gives up.
            self.close()

    def destination_ended(self) -> None:
        if self.client.ended and self.upstream.ended:
            self.close()

    def add_toxic(self, attached: AttachedToxic) -> None:
        for link in self._links_of(attached):
            link.add(attached)

    def update_toxic(self, attached: AttachedToxic) -> None:
        for link in self._links_of(attached):
            link.update(attached)

    def remove_toxic(self, attached: AttachedToxic) -> None:
        for link in self._links_of(attached):
            link.remove(attached)

    def _links_of(self, attached: AttachedToxic) -> list[Link]:
        link = self.to_upstream if attached.stream == "upstream" else self.to_client
        return [link] if link is not None else []

    def close(self, *, reset: bool = False) -> None:
        """End the connection at both ends. Does nothing the second time."""
        if self.stage is ConnectionStage.CLOSED:
            return
        self._read_client_again()
        self.stage = ConnectionStage.CLOSED
        if self.dialling is not None:
            # An upstream that never answers would keep the task and its descriptor for minutes.
            self.dialling.cancel()
        if self._reaping is not None:
            self._reaping.cancel()
        for link in self.links:
            link.close()
        if self._silence is not None:
            self._silence.close()
            self._silence = None
        self.client.shut(reset=reset)
        self.upstream.shut(reset=reset)
        self.proxy.closed(self)
