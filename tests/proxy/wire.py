"""The two ends of a proxied connection as plain sockets, and a proxy server with the proxy between them."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from harness.processes.process import Child

PATIENCE_S = 15.0
"""What is waited for comes long before this, or never."""
RESET = struct.pack("ii", 1, 0)
CHUNK = 2**16


class Peer:
    """One end of a TCP connection."""

    def __init__(self, handle: socket.socket) -> None:
        handle.setblocking(False)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._handle = handle
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def to(cls, port: int, *, patience_s: float = PATIENCE_S) -> Self:
        """Connect. Raises `OSError` when refused, `TimeoutError` when nobody answers."""
        handle = socket.socket()
        handle.setblocking(False)
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.get_running_loop().sock_connect(handle, ("127.0.0.1", port))
        except BaseException:
            handle.close()
            raise
        return cls(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._loop.sock_sendall(self._handle, data)

    async def receive(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only where the stream ends."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            while len(received) < size and (data := await self._read(min(CHUNK, size - len(received)))):
                received += data
        return bytes(received)

    async def until_end(self) -> bytes:
        """Everything up to the peer's FIN. Raises `ConnectionResetError` for an RST."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            while data := await self._read(CHUNK):
                received += data
        return bytes(received)

    async def ended(self) -> str:
        """How the peer ended it, whatever still came before: `fin` or `rst`."""
        try:
            await self.until_end()
        except ConnectionResetError:
            return "rst"
        return "fin"

    async def is_silent_for(self, seconds: float) -> bool:
        """Whether neither a byte nor an end comes in this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._loop.sock_recv(self._handle, 1)
        except TimeoutError:
            return True
        return False

    async def round_trip(self, data: bytes = b"ping") -> float:
        """Send, read the echo, check it; how long that took."""
        began_at_s = self._loop.time()
        await self.send(data)
        assert await self.receive(len(data)) == data
        return self._loop.time() - began_at_s

    def half_close(self) -> None:
        self._handle.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self._handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._handle.close()

    def close(self) -> None:
        self._handle.close()

    async def _read(self, size: int) -> bytes:
        return await self._loop.sock_recv(self._handle, size)


Answer = Callable[[Peer], Awaitable[None]]


async def echo_back(peer: Peer) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        while data := await peer._read(CHUNK):
            await peer.send(data)


class Upstream:
    """A TCP server on a free port. `answer` serves every connection; without it they are handed out by `accepted`."""

    def __init__(self, answer: Answer | None) -> None:
        self.port = 0
        self.count = 0
        self._answer = answer
        self._waiting: asyncio.Queue[Peer] = asyncio.Queue()
        self._news = asyncio.Condition()
        self._peers: list[Peer] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @classmethod
    @asynccontextmanager
    async def running(cls, answer: Answer | None = None) -> AsyncIterator[Self]:
        self = cls(answer)
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            accepting = asyncio.create_task(self._accept(listening))
            try:
                yield self
            finally:
                for task in (accepting, *self._tasks):
                    task.cancel()
                await asyncio.gather(accepting, *self._tasks, return_exceptions=True)
                for peer in self._peers:
                    peer.close()

    async def accepted(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._waiting.get()

    async def met(self, count: int) -> None:
        """Wait until it has accepted this many connections."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: self.count >= count)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            handle, _ = await asyncio.get_running_loop().sock_accept(listening)
            async with self._news:
                self.count += 1
                self._news.notify_all()
            peer = Peer(handle)
            self._peers.append(peer)
            if self._answer is None:
                self._waiting.put_nowait(peer)
            else:
                task = asyncio.create_task(self._serve(self._answer, peer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _serve(self, answer: Answer, peer: Peer) -> None:
        with peer:
            await answer(peer)


@dataclass
class ProxyUnderTest:
    """One proxy on a server, driven over its API."""

    api: httpx.AsyncClient
    name: str
    port: int

    @classmethod
    async def create(cls, api: httpx.AsyncClient, upstream: str, *, name: str = "db", **more: object) -> Self:
        """A proxy on a free port; with `toxics` or a `compute` by the way of /coldstart."""
        path = "/coldstart/proxies" if more else "/proxies"
        made = await api.post(path, json={"name": name, "listen": "127.0.0.1:0", "upstream": upstream, **more})
        assert made.status_code == 201, made.text
        return cls(api, name, int(made.json()["listen"].rpartition(":")[2]))

    async def connect(self) -> Peer:
        return await Peer.to(self.port)

    async def add(self, type_: str, stream: str = "downstream", *, toxicity: float = 1.0, **attributes: int) -> None:
        """A toxic, called by its type."""
        body = {"name": type_, "type": type_, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        answer = await self.api.post(f"/proxies/{self.name}/toxics", json=body)
        assert answer.status_code == 200, answer.text

    async def change(self, toxic: str, **attributes: int) -> None:
        answer = await self.api.patch(f"/proxies/{self.name}/toxics/{toxic}", json={"attributes": attributes})
        assert answer.status_code == 200, answer.text

    async def remove(self, toxic: str) -> None:
        answer = await self.api.delete(f"/proxies/{self.name}/toxics/{toxic}")
        assert answer.status_code == 204, answer.text

    async def set_enabled(self, enabled: bool) -> None:
        answer = await self.api.patch(f"/proxies/{self.name}", json={"enabled": enabled})
        assert answer.json()["enabled"] is enabled, answer.text

    async def suspend(self) -> None:
        answer = await self.api.post(f"/coldstart/proxies/{self.name}/suspend")
        assert answer.status_code == 200, answer.text

    async def state(self) -> str:
        state: str = (await self.api.get(f"/coldstart/proxies/{self.name}/compute")).json()["compute"]["state"]
        return state


class Events:
    """The events of a server, from the moment it listens."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.seen: list[dict[str, Any]] = []

    async def next(self, name: str) -> dict[str, Any]:
        """The next event of this name; the others are passed over, and kept in `seen`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event: dict[str, Any] = json.loads(await anext(self._lines))
                self.seen.append(event)
                if event["event"] == name:
                    return event


@dataclass
class OurServer:
    """Our proxy server: its API, and the process behind it."""

    http: httpx.AsyncClient
    child: Child

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Events]:
        async with self.http.stream("GET", "/coldstart/events", timeout=None) as answer:
            events = Events(answer.aiter_lines())
            await events.next("listening")
            yield events
