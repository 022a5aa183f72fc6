"""The client of our own server's /coldstart endpoints: a proxy with a compute behind it, and its suspend.

No library knows these. Any other Toxiproxy server is driven through `toxiproxy-python` (harness/proxy/toxiproxy.py).
"""

from typing import Any, Self

import httpx

from harness.model.errors import StackError
from harness.model.timeline import ConnectionLoss, Outage
from harness.model.wake import WakeProfile
from harness.proxy.compute_settings import ComputeSettings

TIMEOUT_S = 10.0
SLOW = "coldstart_slow"


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
        self, name: str, *, upstream: str, compute: dict[str, Any] | None = None, way: dict[str, Any] | None = None
    ) -> tuple[str, int]:
        """A proxy on a free port of loopback; where it listens."""
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "compute": compute, "way": way}
        answer = await self._ask("POST", "/coldstart/proxies", body)
        host, _, port = answer["listen"].rpartition(":")
        return host, int(port)

    async def suspend(self, name: str) -> None:
        """Suspend the compute behind a proxy now."""
        await self._ask("POST", f"/coldstart/proxies/{name}/suspend")

    async def state(self, name: str) -> str:
        """`active`, `suspended` or `waking`."""
        state: str = (await self._ask("GET", f"/coldstart/proxies/{name}/compute"))["compute"]["state"]
        return state

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


def slow_toxic(round_trip_s: float) -> dict[str, Any]:
    """A latency toxic, as Toxiproxy's API takes it."""
    attributes = {"latency": round(round_trip_s * 1000), "jitter": 0}
    return {"name": SLOW, "type": "latency", "stream": "upstream", "toxicity": 1.0, "attributes": attributes}


def compute_of(wake: WakeProfile, *, wake_latencies_s: list[float], suspends_by_itself: bool) -> dict[str, Any]:
    """A wake profile as the body of the compute endpoint."""
    behaviour = wake.behaviour(suspends_by_itself=suspends_by_itself)
    return ComputeSettings(behaviour, tuple(wake_latencies_s)).to_json()
