"""The client of our own server's /coldstart endpoints: a proxy with a compute behind it, and its suspend.

No library knows these. Any other Toxiproxy server is driven through `toxiproxy-python` (harness/proxy/toxiproxy.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, fields
from typing import Any, Self

import httpx
import msgspec

from harness.model.compute import State
from harness.model.errors import StackError, UserError
from harness.model.timeline import ConnectionLoss, Outage
from harness.model.wake import WakeProfile
from harness.processes.proxy_messages import AnyProxyEvent
from harness.proxy.addresses import ANY_PORT
from harness.proxy.compute_settings import ComputeSettings

TIMEOUT_S = 10.0
POLL_S = 0.02
SLOW = "coldstart_slow"
_EVENTS = msgspec.json.Decoder(AnyProxyEvent)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeState:
    """A compute behind a proxy, at the moment of an answer."""

    state: State
    changes_in_s: float | None
    """Seconds until it suspends, or is awake, unless something happens; None: it stays as it is."""
    suspends: int
    wakes: int
    """How often it has begun to wake."""
    connections: int
    """Clients' connections that are open."""
    lent: bool
    """Whether somebody has borrowed it."""

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Self:
        known = {field.name: answer[field.name] for field in fields(cls)}
        return cls(**{**known, "state": State(answer["state"])})


class ProxyClient:
    """Talks to one proxy server. Raises `StackError` for whatever goes wrong: the server is part of the stack."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        # trust_env: a proxy configured for the outside world has no business on loopback.
        self._http = httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create(
        self,
        name: str,
        *,
        upstream: str,
        listen: str = ANY_PORT,
        compute: dict[str, Any] | None = None,
        way: dict[str, Any] | None = None,
    ) -> tuple[str, int]:
        """A proxy, on a free port of loopback unless `listen` says where; where it listens."""
        body = {"name": name, "listen": listen, "upstream": upstream, "compute": compute, "way": way}
        answer = await self._ask("POST", "/coldstart/proxies", body)
        host, _, port = answer["listen"].rpartition(":")
        return host, int(port)

    @asynccontextmanager
    async def borrowed(self, name: str) -> AsyncIterator[AsyncIterator[AnyProxyEvent]]:
        """While inside, a proxy's compute and toxics are one's own to change; all events from then on.

        Afterwards it has its own settings again, and is awake; so it is when this process is killed. Raises
        `StackError` for a server that ends, and `UserError` when somebody else has borrowed it.
        """
        path = f"/coldstart/proxies/{name}/borrow"
        try:
            async with self._http.stream("POST", path, timeout=httpx.Timeout(TIMEOUT_S, read=None)) as answer:
                if answer.status_code == httpx.codes.LOCKED:
                    raise UserError("is being used by another run", where="coldstart up", allowed="one at a time")
                if answer.is_error:
                    await answer.aread()
                    raise StackError("toxiproxy", f"POST {path}: {answer.status_code} {answer.text.strip()}")
                lines = answer.aiter_lines()
                # The first line: from here on no event is missed.
                await anext(lines)
                try:
                    yield _events(lines)
                finally:
                    await answer.aclose()
                    await self._until_returned(name)
        except httpx.HTTPError as error:
            raise StackError("toxiproxy", f"POST {path}: {type(error).__name__} {error}") from error

    async def _until_returned(self, name: str) -> None:
        """Wait until the server has seen that nobody reads the events any more; no wait for one that is gone."""
        with suppress(StackError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    if not (await self.state(name)).lent:
                        return
                    await asyncio.sleep(POLL_S)

    async def set_compute(self, name: str, compute: dict[str, Any]) -> None:
        """Put another compute behind a proxy, awake: its settings as `compute_of` makes them."""
        await self._ask("PUT", f"/coldstart/proxies/{name}/compute", compute)

    async def suspend(self, name: str) -> "ComputeState":
        """Suspend the compute behind a proxy now."""
        return ComputeState.of((await self._ask("POST", f"/coldstart/proxies/{name}/suspend"))["compute"])

    async def wake(self, name: str) -> "ComputeState":
        """Let the compute behind a proxy begin to wake now, as for a first client."""
        return ComputeState.of((await self._ask("POST", f"/coldstart/proxies/{name}/wake"))["compute"])

    async def state(self, name: str) -> "ComputeState":
        """What the compute behind a proxy does at this moment."""
        return ComputeState.of(await self._ask("GET", f"/coldstart/proxies/{name}/state"))

    async def slow(self, name: str, round_trip_s: float) -> None:
        """Make every round trip through a proxy this much longer; 0: as long as it was before."""
        toxic = f"/proxies/{name}/toxics/{SLOW}"
        if round_trip_s == 0:
            await self._ask("DELETE", toxic)
            return
        await self._ask("POST", f"/proxies/{name}/toxics", slow_toxic(round_trip_s))

    async def outage(self, name: str, outage: Outage) -> None:
        """The compute behind a proxy is away, beginning now."""
        body = {
            "for_s": outage.for_s, "on_suspend": outage.connections.value, "while_waking": outage.meanwhile.value
        }  # fmt: skip
        await self._ask("POST", f"/coldstart/proxies/{name}/outage", body)

    async def lose(self, name: str, loss: ConnectionLoss) -> None:
        """Some of a proxy's open connections die."""
        await self._ask("POST", f"/coldstart/proxies/{name}/lose", {"share": loss.share, "how": loss.how.value})

    async def remove(self, name: str) -> None:
        await self._ask("DELETE", f"/proxies/{name}")

    async def _ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StackError("toxiproxy", f"{method} {path}: {type(error).__name__} {error}") from error
        if answer.is_error:
            raise StackError("toxiproxy", f"{method} {path}: {answer.status_code} {answer.text.strip()}")
        return answer.json() if answer.content else None


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[AnyProxyEvent]:
    """The events of a stream, as they come. Raises `StackError` when the server ends it."""
    try:
        async for line in lines:
            event: AnyProxyEvent = _EVENTS.decode(line)
            yield event
    except httpx.HTTPError as error:
        raise StackError("toxiproxy", f"its events ended: {type(error).__name__} {error}") from error
    raise StackError("toxiproxy", "its events ended")


def slow_toxic(round_trip_s: float) -> dict[str, Any]:
    """A latency toxic, as Toxiproxy's API takes it."""
    attributes = {"latency": round(round_trip_s * 1000), "jitter": 0}
    return {"name": SLOW, "type": "latency", "stream": "upstream", "toxicity": 1.0, "attributes": attributes}


def compute_of(
    wake: WakeProfile, *, wake_latencies_s: list[float], suspends_by_itself: bool, names_clients: bool = False
) -> dict[str, Any]:
    """A wake profile as the body of the compute endpoint."""
    behaviour = wake.behaviour(suspends_by_itself=suspends_by_itself)
    return ComputeSettings(behaviour, tuple(wake_latencies_s), names_clients).to_json()
