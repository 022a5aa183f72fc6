"""A network whose server answers from a table: what the client libraries cost when answering them costs nothing.

The table is learned from the simulated PostgreSQL: while a `CannedNetwork` learns, every connection has a session of
it, and each answer is kept by what the client sent and what had to be known to understand it. Afterwards the sessions
are gone, and what was never asked before is a mistake of the benchmark.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

from harness.simulation.backend import SimulatedPostgres
from harness.simulation.connection import End
from harness.simulation.loop import VirtualLoop
from harness.simulation.session import Session
from harness.simulation.silence import Socket

Question: TypeAlias = tuple[bytes, bytes, bytes]
"""Transaction status, the Parse message before, which says what a statement's name means, and what the client sent."""
Table: TypeAlias = dict[Question, bytes]
"""Every answer."""
READY = b"Z\0\0\0\x05"


class _ServerEnd:
    """Collects what a session answers."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        """Nobody is at the other end."""

    abort = close


class CannedTransport(asyncio.Transport):
    """The client's end of a connection."""

    def __init__(self, network: "CannedNetwork", address: tuple[str, int], protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": Socket(lambda: None, address), "peername": address})
        self._table = network.table
        self._call_soon = network.loop.call_soon
        self._receive: Callable[[bytes], None] = protocol.data_received
        self._protocol = protocol
        self._status = self._parsed = b""
        self._closing = False
        self._session, self._server_end = network.session()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        sent = bytes(data)
        if sent[:1] == b"X":
            self.close()
            return
        if sent[:1] == b"P":
            self._parsed = sent
        key = (self._status, self._parsed, sent)
        answer = self._table.get(key) if self._session is None else self._learned(key)
        assert answer is not None, f"an answer to {sent!r} was never learned"
        if answer:
            if answer[-6:-1] == READY:
                self._status = answer[-1:]
            self._call_soon(self._receive, answer)

    def _learned(self, key: Question) -> bytes:
        assert self._session is not None
        self._server_end.written = b""
        self._session.data_received(key[-1])
        return self._table.setdefault(key, self._server_end.written)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return not self._closing

    def pause_reading(self) -> None:
        """Nothing comes that was not asked for."""

    def resume_reading(self) -> None:
        """As nothing was held back."""

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._call_soon(self._protocol.connection_lost, None)

    abort = close


class CannedNetwork:
    """The network of one loop; `server` None: every answer is in the table already."""

    def __init__(self, loop: VirtualLoop, table: Table, server: SimulatedPostgres | None = None) -> None:
        self.loop = loop
        self.table = table
        self._server = server
        self._made = 0
        loop.network = self

    def addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:  # noqa: ARG002 - there is one address
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("198.51.100.1", port))]

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        protocol = protocol_factory()
        transport = CannedTransport(self, (host, port), cast("asyncio.Protocol", protocol))
        protocol.connection_made(transport)
        return transport, protocol

    def session(self) -> tuple[Session | None, _ServerEnd]:
        """What answers a new connection while the table is being learned."""
        end = _ServerEnd()
        if self._server is None:
            return None, end
        self._made += 1
        session = Session(self._server, self._made, self._made, self._made)
        session.connection_made(cast("End", end))
        session.admit()
        return session, end
