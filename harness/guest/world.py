"""The world around an application in virtual time: threads run inline, hosts outside are stubs, what blocks is refused.

Everything that an application does through its event loop meets this loop and the simulated network. What goes around
the loop would take real time, of which there is none: it raises an error that says so, and marks the trial.
"""

import asyncio
import concurrent.futures
import contextvars
import functools
import importlib.util
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import greenlet  # type: ignore[import-untyped]
from sqlalchemy.util import await_only, greenlet_spawn

from harness.guest.marks import Marks
from harness.model.application import Stub
from harness.simulation.connection import connected_pair
from harness.simulation.loop import VirtualLoop, VirtualTimeError
from harness.simulation.network import Network

STUB_ADDRESSES = ipaddress.ip_network("192.0.2.0/24")
"""TEST-NET-1 (RFC 5737): of nobody."""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
LOCAL = frozenset({socket.AF_UNIX})


class OutsideError(OSError):
    """The application asked a host that the simulation does not know."""


class Outside:
    """The hosts that the application knows: its database in the simulated network, and its stubs."""

    def __init__(self, network: Network, stubs: Iterable[Stub], marks: Marks) -> None:
        self._network = network
        self._marks = marks
        self._stubs = {stub.host.lower(): stub for stub in stubs}
        numbers = iter(STUB_ADDRESSES.hosts())
        self._addresses = {host: str(next(numbers)) for host in self._stubs}
        self._hosts = {address: host for host, address in self._addresses.items()}

    def addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """As getaddrinfo answers. Raises `OutsideError` for a host that is not declared."""
        if (address := self._addresses.get(host.lower())) is not None:
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]
        try:
            return self._network.addresses(host, port)
        except socket.gaierror:
            if self._network.knows(host):
                return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
            raise self._unknown(host) from None

    def stub(self, host: str) -> Stub | None:
        """The stub of this name or address; None: it is none."""
        return self._stubs.get(self._hosts.get(host, host).lower())

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """As the loop's own answers. Raises `OutsideError` for a host that is not declared."""
        if (stub := self.stub(host)) is not None:
            loop = self._network.loop
            client, server = connected_pair(loop, lambda: 0.0, (host, port), self._network.kernel)
            answering = StubServer(loop, stub)
            server.set_protocol(answering)
            answering.connection_made(server)
            protocol = protocol_factory()
            client.set_protocol(protocol)
            protocol.connection_made(client)
            return client, protocol
        if not self._network.knows(host):
            raise self._unknown(host)
        return await self._network.create_connection(protocol_factory, host, port)

    def _unknown(self, host: str) -> OutsideError:
        self._marks.note(f"it asked the host {host}, which is not declared (--stub {host}=0.2)")
        return OutsideError(
            f"coldstart: the simulation does not know the host {host}; declare it by --stub {host}=SECONDS"
        )


class StubServer(asyncio.Protocol):
    """Answers each HTTP request with 200 and `{}` after the stub's time."""

    def __init__(self, loop: VirtualLoop, stub: Stub) -> None:
        self._loop = loop
        self._stub = stub
        self._received = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (size := _whole_request(self._received)) is not None:
            del self._received[:size]
            self._loop.call_later(self._stub.for_s, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


def _whole_request(received: bytearray) -> int | None:
    """The length of the first HTTP request in here; None: its end has not come yet."""
    head, ended, _ = bytes(received).partition(b"\r\n\r\n")
    if not ended:
        return None
    fields: Mapping[bytes, bytes] = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    size = len(head) + 4
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        end = received.find(b"0\r\n\r\n", size)
        return None if end < 0 else end + 5
    size += int(fields.get(b"content-length", b"0") or b"0")
    return size if len(received) >= size else None


class ApplicationLoop(VirtualLoop):
    """The virtual loop of an application: what it has executed in a thread is executed inline, in no time."""

    marks: Marks

    async def create_connection(  # type: ignore[override] # as its base class has it
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        **options: Any,  # noqa: ANN401 - asyncio's own
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect over the in-memory network; a stub needs no TLS, whatever it is asked with."""
        outside = self.network
        assert isinstance(outside, Outside)
        if host is not None and outside.stub(host) is not None:
            options = {}
        ignored = ("family", "proto", "flags", "local_addr", "happy_eyeballs_delay", "interleave", "all_errors")
        kept = {name: value for name, value in options.items() if name not in ignored}
        if kept.get("ssl"):
            self.marks.note(f"it asked {host} for TLS, which the simulation has not")
        return await super().create_connection(protocol_factory, host, port, **kept)

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - asyncio's own
        """The addresses of a declared host."""
        return await super().getaddrinfo(host.decode() if isinstance(host, bytes) else host, int(port or 0))

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override] # noqa: ANN401 - asyncio's own
        """Call it on this thread, at this instant."""
        del executor
        return self.create_task(greenlet_spawn(func, *args))


def take_over(marks: Marks) -> None:
    """From now on what would block or leave the simulation is refused, in this process."""

    def refusing(what: str) -> Callable[..., NoReturn]:
        def refuse(*arguments: Any, **_: Any) -> NoReturn:  # noqa: ANN401 - anybody's
            said = what.format(*arguments[-1:])
            marks.note(f"it called {said}, which blocks")
            raise VirtualTimeError(f"{said} would block, and virtual time has no time for that")

        return refuse

    time.sleep = refusing("time.sleep({})")
    connect = socket.socket.connect

    @functools.wraps(connect)
    def connecting(own: socket.socket, address: Any) -> None:  # noqa: ANN401 - the socket's own
        if own.family in LOCAL:
            connect(own, address)
            return
        marks.note(f"it connected a synchronous socket to {address}")
        raise VirtualTimeError(f"a synchronous socket to {address} would block, and virtual time has no time for that")

    def resolving(host: Any, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 - the socket module's own
        marks.note(f"it asked the host {host} by a synchronous socket, which blocks")
        raise VirtualTimeError(f"asking for the address of {host} would block, and virtual time has no time for that")

    names: Any = socket
    names.getaddrinfo = names.gethostbyname = resolving
    sockets: Any = socket.socket
    sockets.connect = sockets.connect_ex = connecting
    _wait_in_greenlets(marks)
    if importlib.util.find_spec("anyio") is not None:
        _inline_threads_of_anyio()


def _may_await() -> bool:
    """Whether this is a function that stands for a worker thread's: it is in a greenlet, and may wait for the loop."""
    return bool(getattr(greenlet.getcurrent(), "__sqlalchemy_greenlet_provider__", False))


def _wait_in_greenlets(marks: Marks) -> None:
    """A worker thread may wait for what it has given to the loop: `run_coroutine_threadsafe(…).result()`."""
    futures: Any = concurrent.futures.Future
    result = futures.result

    @functools.wraps(result)
    def waited(future: Any, timeout: float | None = None) -> Any:  # noqa: ANN401 - the future's own
        if not future.done():
            if not _may_await():
                marks.note("it called result() of a future that was not done, which blocks")
                raise VirtualTimeError("result() of a future that is not done would block the loop")
            await_only(asyncio.wait_for(asyncio.wrap_future(future), timeout))
        return result(future, timeout)

    futures.result = waited


def _inline_threads_of_anyio() -> None:
    """Starlette runs `def` endpoints in anyio's worker threads."""
    from anyio import from_thread
    from anyio._backends import _asyncio
    from anyio.streams import tls

    async def run_sync(_: type, func: Callable[..., Any], args: tuple[Any, ...], *_more: Any, **_named: Any) -> Any:  # noqa: ANN401 - anyio's own
        return await greenlet_spawn(contextvars.copy_context().run, func, *args)

    backend: Any = _asyncio.AsyncIOBackend
    backend.run_sync_in_worker_thread = classmethod(run_sync)
    threads: Any = from_thread
    run, run_sync_there = threads.run, threads.run_sync

    @functools.wraps(run)
    def run_in_loop(func: Callable[..., Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401 - anyio's own
        return await_only(func(*args)) if _may_await() else run(func, *args, **options)

    @functools.wraps(run_sync_there)
    def run_sync_in_loop(func: Callable[..., Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401 - anyio's own
        return func(*args) if _may_await() else run_sync_there(func, *args, **options)

    threads.run, threads.run_sync = run_in_loop, run_sync_in_loop
    # What httpx says to a stub goes over no TLS.
    stream: Any = tls.TLSStream
    wrap = stream.wrap

    async def wrapped(_: Any, transport_stream: Any, **options: Any) -> Any:  # noqa: ANN401 - anyio's own
        raw = getattr(transport_stream, "_transport", None)
        loop = asyncio.get_running_loop()
        outside = getattr(loop, "network", None)
        if raw is not None and isinstance(outside, Outside) and outside.stub(raw.get_extra_info("peername")[0]):
            return transport_stream
        return await wrap(transport_stream, **options)

    stream.wrap = classmethod(wrapped)  # type: ignore[arg-type]
