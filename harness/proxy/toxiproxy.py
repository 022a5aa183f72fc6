"""Any Toxiproxy server, driven through `toxiproxy-python`: the client wrapped once.

The client has no timeouts, leaves 5xx unchecked (a port in use passes for success on enable), knows one server a
process and honours http_proxy for loopback; here all of that is mended, and every failure is a `StackError`. What our
own server can do beyond Toxiproxy's API has a client of its own (harness/proxy/client.py).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from harness.model.errors import StackError

TIMEOUT_S = 5.0


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


def _text(refused: Exception) -> str:
    content = refused.args[0] if refused.args else b""
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(content)
