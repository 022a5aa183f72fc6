"""One proxy: a port, an upstream, the toxics that hang on it, its connections, and a compute if it has one."""

import asyncio
import logging
import socket
from itertools import count
from time import monotonic
from typing import Any, Protocol

from harness.processes.proxy_messages import AnyProxyEvent, ConnectionAccepted, ConnectionClosed, Transferred
from harness.proxy.addresses import ANY_PORT, joined, split
from harness.proxy.connection import Connection, ConnectionStage
from harness.proxy.departures import Departures
from harness.proxy.descriptors import DescriptorBudget
from harness.proxy.events import EventStream
from harness.proxy.link import AttachedToxic
from harness.proxy.listening_port import ListeningPort
from harness.proxy.way import Way

STREAMS = ("upstream", "downstream")

LOG = logging.getLogger("harness.proxy")


class ConnectionWatcher(Protocol):
    """Decides what a proxy's new connections meet, and hears what happens on them: the compute behind the proxy."""

    @property
    def watches_bytes(self) -> bool:
        """Whether it must know of bytes on an open connection."""
        ...

    def proxy_started(self) -> None: ...

    def attempt(self, connection: Connection) -> None: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...

    def client_sent(self, connection: Connection, data: bytes) -> None:
        """Before they go on; of a paused connection nothing (`b""`) when they come, and they when they go on."""
        ...

    def server_sent(self, connection: Connection, data: bytes) -> None:
        """Before they go on."""
        ...

    def stop(self) -> None:
        """Another takes its place, or none: it has no more effects."""
        ...


class Proxy:
    """A named proxy. `listen` and `upstream` are `host:port`; a listen port of 0 is replaced by the one taken."""

    def __init__(
        self, name: str, *, listen: str, upstream: str, events: EventStream, budget: DescriptorBudget | None = None
    ) -> None:
        self.name = name
        self.listen = listen or ANY_PORT
        self.upstream = upstream
        self.toxics: list[AttachedToxic] = []
        self.connections: dict[Connection, None] = {}
        self.watcher: ConnectionWatcher | None = None
        self.way: Way | None = None
        self.lent = False
        """Whether a client of the API has borrowed its compute (harness/proxy/borrowing.py)."""
        self.transferred = {"upstream": 0, "downstream": 0}
        """Bytes of connections that have ended."""
        self.departures = Departures()
        self._events = events
        self._budget = budget or DescriptorBudget()
        self._listener: ListeningPort | None = None
        self._numbers = count(1)
        self._accepting: set[asyncio.Task[Any]] = set()

    @property
    def enabled(self) -> bool:
        return self._listener is not None

    @property
    def listener(self) -> ListeningPort:
        assert self._listener is not None
        return self._listener

    @property
    def upstream_address(self) -> tuple[str, int]:
        return split(self.upstream)

    @property
    def watches_bytes(self) -> bool:
        return self.watcher is not None and self.watcher.watches_bytes

    def start(self, address: tuple[str, int]) -> None:
        """Listen on an IP address and a port, 0 for any free one, unless it listens already. Raises `OSError`."""
        if self._listener is None:
            self._listener = ListeningPort(*address, self._accept, has_room=lambda: self._budget.has_room)
            self.listen = joined(*self._listener.address)
            if self.watcher is not None:
                self.watcher.proxy_started()

    def stop(self) -> None:
        """Unbind the port and close every connection (FIN); what toxics held is gone."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.close()

    def _accept(self, client: socket.socket) -> None:
        connection = Connection(self, next(self._numbers))
        self._budget.take()
        self.connections[connection] = None
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(lambda: connection.client, client))
        self._accepting.add(task)
        task.add_done_callback(lambda _: self._accepted(task, connection, client))

    def _accepted(self, task: "asyncio.Task[Any]", connection: Connection, client: socket.socket) -> None:
        self._accepting.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            LOG.error("accepting connection %d of %s failed", connection.number, self.name, exc_info=error)
        if task.cancelled() or error is not None:
            # With an OSError the client was gone before its connection had begun. Nobody else closes its socket then.
            connection.close()
            client.close()
            return
        if connection.stage is ConnectionStage.CLOSED:
            return
        self.report(
            ConnectionAccepted(
                proxy=self.name, at_s=monotonic(), connection=connection.number, client=connection.client.address
            )
        )
        if self.watcher is not None:
            self.watcher.attempt(connection)
        else:
            connection.dial()

    # What its connections call (ConnectionOwner):

    def report(self, event: AnyProxyEvent) -> None:
        """Publish an event to the server's listeners."""
        self._events.publish(event)

    def opened(self, connection: Connection) -> None:
        if self.watcher is not None:
            self.watcher.opened(connection)

    def closed(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        self._budget.give_back()
        moved = Transferred(
            upstream=connection.to_upstream.transferred if connection.to_upstream else 0,
            downstream=connection.to_client.transferred if connection.to_client else 0,
        )
        self.transferred["upstream"] += moved.upstream
        self.transferred["downstream"] += moved.downstream
        self.report(ConnectionClosed(proxy=self.name, at_s=monotonic(), connection=connection.number, bytes=moved))
        if self.watcher is not None:
            self.watcher.closed(connection)

    def forgotten(self, connection: Connection) -> None:
        # For the compute it has ended. It stays among the connections: its client does not know.
        if self.watcher is not None:
            self.watcher.closed(connection)

    def client_sent(self, connection: Connection, data: bytes) -> None:
        if self.watcher is not None:
            self.watcher.client_sent(connection, data)

    def server_sent(self, connection: Connection, data: bytes) -> None:
        if self.watcher is not None:
            self.watcher.server_sent(connection, data)

    # Its toxics:

    def toxics_of(self, stream: str) -> list[AttachedToxic]:
        return [attached for attached in self.toxics if attached.stream == stream]

    def toxic(self, name: str) -> AttachedToxic | None:
        return next((attached for attached in self.toxics if attached.name == name), None)

    def add_toxic(self, attached: AttachedToxic) -> None:
        self.toxics.append(attached)
        for connection in list(self.connections):
            connection.add_toxic(attached)

    def update_toxic(self, attached: AttachedToxic) -> None:
        for connection in list(self.connections):
            connection.update_toxic(attached)

    def remove_toxic(self, attached: AttachedToxic) -> None:
        self.toxics.remove(attached)
        for connection in list(self.connections):
            connection.remove_toxic(attached)

    def unwatch(self) -> None:
        """Take its watcher away: connections that were kept waiting go on, as if it had never had one."""
        if self.watcher is not None:
            watcher, self.watcher = self.watcher, None
            watcher.stop()
            for connection in list(self.connections):
                connection.release()
            if self._listener is not None:
                self._listener.accept()

    def to_json(self) -> dict[str, Any]:
        ordered = [attached for stream in STREAMS for attached in self.toxics_of(stream)]
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [attached.to_json() for attached in ordered],
        }
