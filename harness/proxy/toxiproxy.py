"""Any Toxiproxy server, driven through `toxiproxy-python`: the client wrapped once, and a compute on its plain API.

The client has no timeouts, leaves 5xx unchecked (a port in use passes for success on enable), knows one server a
process and honours http_proxy for loopback; here all of that is mended, and every failure is a `StackError`.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from harness.compute import OnSuspend, WhileWaking
from harness.errors import StackError, UserError
from harness.wake import WakeProfile

TIMEOUT_S = 5.0
FOR_EVER_MS = 600_000
"""A hold's latency: longer than any wake, ended by removing the toxic."""
HOLD = "coldstart_hold"
KILL = "coldstart_kill"


class ToxiproxyServer:
    """One Toxiproxy server's API. Calls block; raises `StackError` for whatever the server refuses or can't do."""

    def __init__(self, port: int = 8474, *, host: str = "127.0.0.1", timeout_s: float = TIMEOUT_S) -> None:
        # The client keeps its server in class attributes: a class of its own for every server.
        self._api = type("Consumer", (APIConsumer,), {"host": host, "port": port})
        self._options = {"timeout": timeout_s, "proxies": {"http": None, "https": None, "all": None}}

    def create(self, name: str, *, upstream: str, listen: str = "127.0.0.1:0") -> tuple[str, int]:
        """A proxy; where it listens."""
        made = self._post("/proxies", {"name": name, "upstream": upstream, "listen": listen})
        host, _, port = made["listen"].rpartition(":")
        return host, int(port)

    def remove(self, name: str) -> None:
        """Remove a proxy; its connections are closed."""
        self._ask("delete", f"/proxies/{quote(name, safe='')}")

    def set_enabled(self, name: str, *, enabled: bool) -> None:
        """Bind or unbind a proxy's port, and read back that it happened."""
        path = f"/proxies/{quote(name, safe='')}"
        self._post(path, {"enabled": enabled})
        if self._ask("get", path).json()["enabled"] is not enabled:
            raise StackError("toxiproxy", f"proxy {name} did not become {'enabled' if enabled else 'disabled'}")

    def add_toxic(
        self, proxy: str, name: str, *, type_: str, stream: str, attributes: Mapping[str, Any], toxicity: float = 1.0
    ) -> None:
        """Add a toxic; it acts on open connections too."""
        toxic = {"name": name, "type": type_, "stream": stream, "toxicity": toxicity, "attributes": dict(attributes)}
        self._post(f"/proxies/{quote(proxy, safe='')}/toxics", toxic)

    def remove_toxic(self, proxy: str, name: str) -> None:
        """Remove a toxic; what it held goes on."""
        self._ask("delete", f"/proxies/{quote(proxy, safe='')}/toxics/{quote(name, safe='')}")

    def version(self) -> str:
        """What the server says it is."""
        answer = self._ask("get", "/version")
        text: str = answer.text
        return text if not text.startswith("{") else str(answer.json()["version"])

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return self._ask("post", path, json=body).json()

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:  # noqa: ANN401 - JSON
        try:
            answer: requests.Response = getattr(self._api, method)(path, **self._options, **more)
        except (InvalidToxic, NotFound, ProxyExists) as refused:
            raise StackError("toxiproxy", f"{method.upper()} {path}: {_text(refused)}") from refused
        except requests.RequestException as error:
            raise StackError("toxiproxy", f"{method.upper()} {path}: {type(error).__name__}") from error
        if not answer.ok:
            raise StackError("toxiproxy", f"{method.upper()} {path}: {answer.status_code} {answer.text.strip()}")
        return answer


@dataclass(slots=True)
class ToxiproxyCompute:
    """Suspend, hold and wake on the plain API, so that it works with the real server; `close` and `hold` only.

    The server dials PostgreSQL for every connection it accepts, held or not. So PostgreSQL forks a backend for each,
    and a client that gives up leaves a ghost whose bytes still arrive at the wake; the native compute of this
    project's server has neither (docs/toxiproxy.md). Whoever sees the first attempt calls `attempted`.
    """

    server: ToxiproxyServer
    proxy: str
    wake_latency_s: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    planned_wake_at_s: float | None = None
    woke_at_s: float | None = None
    _suspended: bool = False
    _waking: asyncio.Task[None] | None = None

    @staticmethod
    def check(wake: WakeProfile) -> None:
        """Raises `UserError` for what toxics can't express."""
        for what, wanted, can in (
            ("on_suspend", wake.on_suspend, OnSuspend.CLOSE),
            ("while_waking", wake.while_waking, WhileWaking.HOLD),
        ):
            if wanted is not can:
                raise UserError(f"Toxiproxy can't express {what} {wanted}", where=f"wake {wake.name}", allowed=can)

    async def suspend(self) -> None:
        """Hold what comes from now on, and close every open connection; the port stays open throughout."""
        self.woken.clear()
        self.woke_at_s = None
        # Upstream: held downstream, PostgreSQL would have executed already, and the real server can hang at the wake.
        await asyncio.to_thread(self._hold)
        await asyncio.to_thread(self._kill)
        self._suspended = True

    def attempted(self, at_s: float | None = None) -> None:
        """A connection attempt was seen at this moment of the monotonic clock: the first one starts the wake."""
        if not self._suspended:
            return
        self._suspended = False
        self.planned_wake_at_s = (time.monotonic() if at_s is None else at_s) + self.wake_latency_s
        self._waking = asyncio.create_task(self._wake(self.planned_wake_at_s), name=f"wake of {self.proxy}")

    async def _wake(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))
        await asyncio.to_thread(self.server.remove_toxic, self.proxy, HOLD)
        self.woke_at_s = time.monotonic()
        self.woken.set()

    def _hold(self) -> None:
        attributes = {"latency": FOR_EVER_MS, "jitter": 0}
        self.server.add_toxic(self.proxy, HOLD, type_="latency", stream="upstream", attributes=attributes)

    def _kill(self) -> None:
        # A timeout toxic closes its connections as it is removed.
        self.server.add_toxic(self.proxy, KILL, type_="timeout", stream="downstream", attributes={"timeout": 0})
        self.server.remove_toxic(self.proxy, KILL)


def _text(refused: Exception) -> str:
    content = refused.args[0] if refused.args else b""
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(content)
