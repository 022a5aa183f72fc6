"""One proxy: a port, an upstream, the toxics that hang on it, its connections, and a compute if it has one."""

import asyncio
import socket
from itertools import count
from time import monotonic
from typing import Any, Protocol

from harness.processes.messages import AnyProxyEvent, ConnectionAccepted, ConnectionClosed, Transferred
from harness.proxy.connection import Connection, Stage
from harness.proxy.events import EventStream
from harness.proxy.link import AttachedToxic
from harness.proxy.listener import Listener
from harness.proxy.sleep import ComputeSettings, SleepingCompute

STREAMS = ("upstream", "downstream")


class ConnectionWatcher(Protocol):
    """Decides what a proxy's new connections meet, and is told of what happens on them."""

    @property
    def watches_bytes(self) -> bool:
        """Whether it must know of bytes on an open connection."""
        ...

    def proxy_started(self) -> None: ...

    def attempt(self, connection: Connection) -> None: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...

    def client_spoke(self, connection: Connection) -> None: ...

    def server_spoke(self, connection: Connection, data: bytes) -> None: ...


class Proxy:
    """A named proxy. `listen` and `upstream` are `host:port`; a listen port of 0 is replaced by the one taken."""

    def __init__(self, name: str, *, listen: str, upstream: str, events: EventStream) -> None:
        self.name = name
        self.listen = listen or "127.0.0.1:0"
        self.upstream = upstream
        self.toxics: list[AttachedToxic] = []
        self.connections: dict[Connection, None] = {}
        self.compute: SleepingCompute | None = None
        self.watcher: ConnectionWatcher | None = None
        """The compute, where there is one."""
        self.transferred = {"upstream": 0, "downstream": 0}
        """Bytes of connections that have ended."""
        self._events = events
        self._listener: Listener | None = None
        self._numbers = count(1)
        self._accepting: set[asyncio.Task[Any]] = set()

    @property
    def enabled(self) -> bool:
        return self._listener is not None

    @property
    def listener(self) -> Listener:
        assert self._listener is not None
        return self._listener

    @property
    def upstream_address(self) -> tuple[str, int]:
        return address(self.upstream)

    @property
    def watches_bytes(self) -> bool:
        return self.watcher is not None and self.watcher.watches_bytes

    def start(self) -> None:
        """Bind the port. Raises `OSError`."""
        if self._listener is None:
            host, port = address(self.listen)
            self._listener = Listener(host or "0.0.0.0", port, self._accept)  # noqa: S104 - as asked for, with no host
            self.listen = f"{f'[{host}]' if ':' in host else host}:{self._listener.address[1]}"
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
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[connection] = None
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(lambda: connection.client, client))
        self._accepting.add(task)
        task.add_done_callback(lambda _: self._accepted(task, connection))

    def _accepted(self, task: "asyncio.Task[Any]", connection: Connection) -> None:
        self._accepting.discard(task)
        if task.cancelled() or task.exception() is not None:
            # The client was gone before its connection had begun.
            connection.close()
            return
        if connection.stage is Stage.CLOSED:
            return
        self.report(ConnectionAccepted(proxy=self.name, at_s=monotonic(), connection=connection.number))
        if self.watcher is not None:
            self.watcher.attempt(connection)
        else:
            connection.dial()

    # What its connections tell:

    def report(self, event: AnyProxyEvent) -> None:
        """Tell whoever listens to the server's events."""
        self._events.publish(event)

    def opened(self, connection: Connection) -> None:
        if self.watcher is not None:
            self.watcher.opened(connection)

    def closed(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        moved = Transferred(
            upstream=connection.to_upstream.transferred if connection.to_upstream else 0,
            downstream=connection.to_client.transferred if connection.to_client else 0,
        )
        self.transferred["upstream"] += moved.upstream
        self.transferred["downstream"] += moved.downstream
        self.report(ConnectionClosed(proxy=self.name, at_s=monotonic(), connection=connection.number, bytes=moved))
        if self.watcher is not None:
            self.watcher.closed(connection)

    def client_spoke(self, connection: Connection) -> None:
        if self.watcher is not None:
            self.watcher.client_spoke(connection)

    def server_spoke(self, connection: Connection, data: bytes) -> None:
        if self.watcher is not None:
            self.watcher.server_spoke(connection, data)

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

    # Its compute:

    def attach_compute(self, settings: ComputeSettings) -> None:
        """Put a compute behind this proxy, awake, in place of any it had."""
        self.detach_compute()
        self.watcher = self.compute = SleepingCompute(self, settings)

    def detach_compute(self) -> None:
        """Take the compute away: whoever waits for it goes on, as if there had never been one."""
        if self.compute is not None:
            compute, self.compute, self.watcher = self.compute, None, None
            compute.stop()
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


def address(text: str) -> tuple[str, int]:
    """`host:port` as a pair. Raises `OSError`, as binding or dialling it would."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise OSError(f"address {text}: not host:port")
    return host.strip("[]"), int(port)
