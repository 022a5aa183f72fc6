"""What a soak does to the proxy: churn, toxics of every kind, suspends and wakes, and storms of clients that leave."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from harness.postgres import PostgresServer

CHURNING = 4
HARMED = 3
WAITING = 10
"""Clients that wait for a wake and must get through it."""
LEFT_OPEN = 5
"""Connections that are open when the compute suspends."""
ABANDONED = 100
"""Clients of a storm, which leave before the wake."""
WAKE_S = 0.5
PATIENCE_S = 20.0
"""No toxic here holds a client for as long: who waits longer was forgotten."""
HARMED_PATIENCE_S = 5.0
LONGEST = 20_000
"""Bytes of a query's answer."""
MUCH = 100_000
"""More than the proxy keeps of a client that is not connected onward."""
STARTUP = struct.pack("!IIs", 9, 196_608, b"\0")
RESET = struct.pack("ii", 1, 0)

HARMLESS: tuple[tuple[str, dict[str, int]], ...] = (
    ("latency", {"latency": 5, "jitter": 5}),
    ("bandwidth", {"rate": 5_000}),
    ("slicer", {"average_size": 500, "size_variation": 100, "delay": 50}),
    ("slicer", {"average_size": 100, "size_variation": 50, "delay": 0}),
    ("slow_close", {"delay": 20}),
    ("noop", {}),
)
"""Under these every query is answered, only later."""
HARMFUL: tuple[tuple[str, dict[str, int]], ...] = (
    ("timeout", {"timeout": 50}),
    ("timeout", {"timeout": 0}),
    ("reset_peer", {"timeout": 10}),
    ("limit_data", {"bytes": 300}),
    ("bandwidth", {"rate": 0}),
)
"""Under these connections end, or hang until the toxic is removed."""
SUSPENDS = ("close", "terminate", "reset", "keep", "freeze", "vanish")

FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass
class Done:
    """What has been done so far."""

    connections: int = 0
    """That asked something and were answered."""
    ended: int = 0
    """That a harmful toxic ended, or that had no answer under one."""
    abandoned: int = 0
    wakes: int = 0
    toxics: int = 0
    unexpected: list[str] = field(default_factory=list)
    """What failed though nothing was done to it, and answers that were not what was asked for."""


class Load:
    """The work on one server: three proxies, each for a kind of it."""

    def __init__(self, api: httpx.AsyncClient, postgres: PostgresServer, ports: dict[str, int]) -> None:
        self.done = Done()
        self._api = api
        self._postgres = postgres
        self._ports = ports
        self._random = random.Random("soak")

    @classmethod
    async def on(cls, api: httpx.AsyncClient, postgres: PostgresServer) -> "Load":
        """With its proxies made."""
        upstream = f"{postgres.host}:{postgres.port}"
        ports = {}
        for name in ("churned", "harmed", "asleep"):
            made = await _asked(api, "POST", "/proxies", {"name": name, "upstream": upstream, "listen": "127.0.0.1:0"})
            ports[name] = int(made["listen"].rpartition(":")[2])
        return cls(api, postgres, ports)

    async def work(self, seconds: float) -> None:
        """All kinds of work at once; when it returns every connection of it has been closed by its client."""
        until_s = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(CHURNING):
                group.create_task(self._churn(until_s))
            for _ in range(HARMED):
                group.create_task(self._be_harmed(until_s))
            group.create_task(self._change_toxics("churned", HARMLESS, until_s))
            group.create_task(self._change_toxics("harmed", HARMFUL, until_s))
            group.create_task(self._sleep_and_wake(until_s))

    def _goes_on(self, until_s: float) -> bool:
        return asyncio.get_running_loop().time() < until_s

    async def _churn(self, until_s: float) -> None:
        while self._goes_on(until_s):
            await self._must_be_answered("churned")

    async def _must_be_answered(self, proxy: str) -> None:
        try:
            await self._visit(proxy, PATIENCE_S)
        except FAILURES as error:
            self.done.unexpected.append(f"{proxy}: {type(error).__name__} {error}")

    async def _be_harmed(self, until_s: float) -> None:
        while self._goes_on(until_s):
            try:
                await self._visit("harmed", HARMED_PATIENCE_S)
            except FAILURES:
                self.done.ended += 1

    async def _visit(self, proxy: str, patience_s: float) -> None:
        """Connect, ask once, check the answer, leave."""
        async with asyncio.timeout(patience_s), self._connected(proxy) as connection:
            text = "x" * self._random.randrange(1, LONGEST)
            answer = await connection.fetchval("SELECT $1::text", text)
            if answer != text:
                self.done.unexpected.append(f"{proxy}: a wrong answer, {len(answer)} of {len(text)} bytes")
            await connection.close()
            self.done.connections += 1

    @asynccontextmanager
    async def _connected(self, proxy: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
        dsn = self._postgres.dsn_at("127.0.0.1", self._ports[proxy])
        connection = await asyncpg.connect(dsn, ssl=False, timeout=PATIENCE_S)
        try:
            yield connection
        finally:
            connection.terminate()

    async def _change_toxics(self, proxy: str, kinds: tuple[tuple[str, dict[str, int]], ...], until_s: float) -> None:
        """Add one, let it act, change it now and then, take it away; now and then two at a time."""
        while self._goes_on(until_s):
            names = []
            for number in range(self._random.choice((1, 1, 2))):
                type_, attributes = self._random.choice(kinds)
                names.append(f"toxic {number}")
                stream = self._random.choice(("upstream", "downstream"))
                toxic = {"name": names[-1], "type": type_, "stream": stream, "attributes": attributes}
                await _asked(self._api, "POST", f"/proxies/{proxy}/toxics", toxic)
                self.done.toxics += 1
            await asyncio.sleep(self._random.uniform(0.1, 1.0))
            if self._random.random() < 0.3:
                await _asked(self._api, "PATCH", f"/proxies/{proxy}/toxics/{names[0]}", {"toxicity": 0.5})
                await asyncio.sleep(0.1)
            for name in names:
                await _asked(self._api, "DELETE", f"/proxies/{proxy}/toxics/{name}", None)
            await asyncio.sleep(self._random.uniform(0.1, 0.5))

    async def _sleep_and_wake(self, until_s: float) -> None:
        while self._goes_on(until_s):
            compute = {"on_suspend": self._random.choice(SUSPENDS), "while_waking": "hold", "wake_latency_s": WAKE_S}
            await _asked(self._api, "PUT", "/coldstart/proxies/asleep/compute", compute)
            async with contextlib.AsyncExitStack() as open_connections:
                for _ in range(LEFT_OPEN):
                    await open_connections.enter_async_context(self._connected("asleep"))
                await _asked(self._api, "POST", "/coldstart/proxies/asleep/suspend", None)
            async with asyncio.TaskGroup() as group:
                for _ in range(WAITING):
                    group.create_task(self._must_be_answered("asleep"))
                for _ in range(ABANDONED):
                    group.create_task(self._abandon())
            self.done.wakes += 1
            await asyncio.sleep(0.5)

    async def _abandon(self) -> None:
        """A client that leaves before the wake: silent, after its startup message, or after more than is kept of it."""
        loop = asyncio.get_running_loop()
        says = self._random.choice((b"", STARTUP, STARTUP + bytes(MUCH)))
        stays_s, by_reset = self._random.uniform(0, WAKE_S / 2), self._random.random() < 0.5
        with socket.socket() as handle:
            handle.setblocking(False)
            await loop.sock_connect(handle, ("127.0.0.1", self._ports["asleep"]))
            try:
                async with asyncio.timeout(stays_s):
                    await loop.sock_sendall(handle, says)
                    await asyncio.sleep(stays_s)
            except (OSError, TimeoutError):
                pass
            if by_reset:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.done.abandoned += 1


async def _asked(api: httpx.AsyncClient, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
    answer = await api.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json() if answer.content else None
