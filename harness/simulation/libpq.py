"""psycopg on the in-memory network: libpq's own sockets, bridged to simulated connections.

libpq connects a socket of the operating system by itself and can't be given another transport. So each address of the
simulated network gets a listener in the abstract socket namespace, where nothing is left behind in the file system,
and what libpq writes to it goes over the network with its delays, its silence and its lost connections:

psycopg ── libpq ──▶ socket ── Bridge ── End ──▶ network ──▶ simulated PostgreSQL
                     (at once)               (virtual time)

Bytes reach libpq's socket at the virtual moment of their arrival and not before. libpq believes that it has connected
before the network has answered; what it says until then waits in the bridge. psycopg and libpq are not patched.
"""

import asyncio
import os
import platform
import secrets
import socket
import struct
import tempfile
import weakref
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, cast

from psycopg import AsyncConnection
from psycopg.abc import PQGenConn
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from harness.simulation.clock import psycopg_clocks_follow
from harness.simulation.connection import End
from harness.simulation.loop import VirtualLoop, VirtualTimeError
from harness.simulation.network import Network

BACKLOG = 4096
"""libpq's connection requests of one instant."""
CHUNK = 16 * 1024
"""Bytes read from a socket at once; what is left is read at the same instant."""
ABSTRACT = platform.system() == "Linux"
"""Whether a local socket may have a name that is no path."""
PORT = 5432
"""In a socket's name, as libpq makes it."""


class LibpqSockets:
    """Gives libpq a way into the simulated network: a listener for each of a host's addresses.

    From its construction until `close`, psycopg's clocks are the network's.
    """

    def __init__(self, network: Network, host: str, port: int) -> None:
        """`network` must know the host already."""
        self._network = network
        self._loop = network.loop
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._listeners: dict[str, socket.socket] = {}
        self._names: dict[str, str] = {}
        self._bridges: list[Bridge] = []
        self._connections: weakref.WeakSet[AsyncConnection[Any]] = weakref.WeakSet()
        self._clocks = ExitStack()
        self._clocks.enter_context(psycopg_clocks_follow(network.loop.time))
        where = self._place()
        for *_, (address, _port) in network.addresses(host, port):
            name = f"{where}-{address}" if where.startswith("@") else f"{where}/{address}"
            listener = _listening(name)
            self._listeners[address] = listener
            self._names[address] = name
            self._loop.add_reader(listener.fileno(), self._accept, listener, (address, port))

    def connection_class(self, base: type[AsyncConnection[Any]]) -> type[AsyncConnection[Any]]:
        """`base`, with its addresses looked up in this network."""
        sockets = self

        class SimulatedConnection(base):  # type: ignore[misc, valid-type]
            """A psycopg connection whose libpq connects to the simulated network."""

            def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - psycopg's own
                super().__init__(*args, **options)
                sockets._connections.add(self)

            @classmethod
            def _connect_gen(cls, conninfo: str = "") -> "PQGenConn[SimulatedConnection]":
                return super()._connect_gen(sockets.rerouted(conninfo))  # type: ignore[no-any-return]

        return SimulatedConnection

    def rerouted(self, conninfo: str) -> str:
        """A connection string for one address, with the socket that stands for it in its place."""
        parameters = conninfo_to_dict(conninfo)
        address = str(parameters.pop("hostaddr", None) or parameters.get("host"))
        if address not in self._names:
            raise VirtualTimeError(f"no address {address!r} in the simulated network")
        return make_conninfo("", **{**parameters, "host": self._names[address], "port": PORT})

    def close(self) -> None:
        """Close every socket, those of libpq's too: a connection that nobody closed must not outlive its trial."""
        for connection in list(self._connections):
            connection.pgconn.finish()
        for bridge in self._bridges:
            bridge.close()
        for listener in self._listeners.values():
            self._loop.remove_reader(listener.fileno())
            listener.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._clocks.close()

    def _place(self) -> str:
        if ABSTRACT:
            return f"@coldstart-{os.getpid()}-{secrets.token_hex(8)}"
        # Without an abstract namespace: a private folder, gone with the trial.
        self._folder = tempfile.TemporaryDirectory(prefix="coldstart-")
        return self._folder.name

    def _accept(self, listener: socket.socket, address: tuple[str, int]) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except BlockingIOError:
                return
            if _is_ours(accepted):
                self._bridges = [bridge for bridge in self._bridges if not bridge.closed]
                self._bridges.append(Bridge(self._loop, self._network, accepted, address))
            else:
                accepted.close()


class Bridge(asyncio.Protocol):
    """One of libpq's sockets, and the simulated connection that it stands for."""

    def __init__(self, loop: VirtualLoop, network: Network, of_libpq: socket.socket, address: tuple[str, int]) -> None:
        self._loop = loop
        self._socket = of_libpq
        self._end: End | None = None
        self._early = bytearray()
        """What libpq said before the network had connected it."""
        self._late = bytearray()
        """What did not fit into libpq's socket."""
        self._ending = False
        """The server has ended the connection; libpq is still to read what came before."""
        self.closed = False
        of_libpq.setblocking(False)
        loop.add_reader(of_libpq.fileno(), self._readable)
        self._connecting = loop.create_task(self._connect(network, address))

    def close(self) -> None:
        """End libpq's side, and with it the simulated connection or the attempt at one."""
        if self.closed:
            return
        self.closed = True
        self._connecting.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        if self._end is not None:
            self._end.close()

    # asyncio.Protocol, of the simulated connection:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._end = cast("End", transport)
        # As libpq does on a connection to another machine, unless it is told not to.
        self._end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._early:
            self._end.write(self._early)
            self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        if not self._late:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                pass
            except OSError:
                # libpq has closed its side, and the bridge has not read that yet.
                self.close()
                return
            if not data:
                return
            self._loop.add_writer(self._socket.fileno(), self._writable)
        self._late += data

    def connection_lost(self, exc: Exception | None) -> None:
        # FIN, RST and a kernel that gave up are all an end of file to libpq here: its errors have no SQLSTATE for any.
        if exc is None and self._late and not self.closed:
            self._ending = True
        else:
            self.close()

    # libpq's socket:

    def _readable(self) -> None:
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        elif self._end is None:
            self._early += data
        else:
            self._end.write(data)

    def _writable(self) -> None:
        with suppress(BlockingIOError, OSError):
            del self._late[: self._socket.send(self._late)]
        if not self._late:
            self._loop.remove_writer(self._socket.fileno())
            if self._ending:
                self.close()

    async def _connect(self, network: Network, address: tuple[str, int]) -> None:
        try:
            await network.connect(lambda: self, address)
        except OSError:
            # libpq finds its socket closed before the server has said a word: refused, or given up.
            self.close()


def _listening(name: str) -> socket.socket:
    """A listener where libpq looks for one when its host is `name`."""
    if not name.startswith("@"):
        Path(name).mkdir(mode=0o700)
    path = f"{name}/.s.PGSQL.{PORT}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("\0" + path[1:] if path.startswith("@") else path)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _is_ours(accepted: socket.socket) -> bool:
    """Whether this process itself connected: nobody else has business in a simulation."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # a private folder has kept others out
    size = struct.calcsize("3i")
    process_id, _, _ = struct.unpack("3i", accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(process_id == os.getpid())
