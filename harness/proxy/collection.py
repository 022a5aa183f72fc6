"""The proxies of a server, and the errors of Toxiproxy's API."""

import json
from typing import Any

from harness.proxy.events import EventStream
from harness.proxy.link import AttachedToxic
from harness.proxy.proxy import STREAMS, Proxy
from harness.proxy.toxics import TOXICS, BadAttributeError


class ApiError(Exception):
    """An answer that is an error: Toxiproxy's message and HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        self.message = message
        self.status = status
        super().__init__(message)

    def to_json(self) -> dict[str, Any]:
        return {"error": self.message, "status": self.status}


def bad_request(why: object) -> ApiError:
    return ApiError(f"bad request body: {why}", 400)


def missing(field: str) -> ApiError:
    return ApiError(f"missing required field: {field}", 400)


def parsed(body: bytes, shape: type) -> Any:  # noqa: ANN401 - JSON
    """The request's JSON. Raises `ApiError` 400 when it is none, or of another shape."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise bad_request(error) from error
    if not isinstance(document, shape):
        raise bad_request(f"cannot read a {type(document).__name__} as a {shape.__name__}")
    return document


def field(document: dict[str, Any], name: str, shape: type, default: Any) -> Any:  # noqa: ANN401 - JSON
    """A field of the request; null counts as left out. Raises `ApiError` 400 when it has another type."""
    value = document.get(name)
    if value is None:
        return default
    if shape is float and type(value) is int:
        return float(value)
    if type(value) is not shape:
        raise bad_request(f"cannot read {value!r} as {name}")
    return value


class ProxyCollection:
    """Every proxy of a server, by name."""

    def __init__(self, events: EventStream) -> None:
        self.events = events
        self.proxies: dict[str, Proxy] = {}

    def get(self, name: str) -> Proxy:
        try:
            return self.proxies[name]
        except KeyError:
            raise ApiError("proxy not found", 404) from None

    def create(self, document: dict[str, Any]) -> Proxy:
        """A new proxy as `POST /proxies` describes it."""
        proxy, enabled = self.described(document)
        if proxy.name in self.proxies:
            raise ApiError("proxy already exists", 409)
        if enabled:
            start(proxy)
        self.proxies[proxy.name] = proxy
        return proxy

    def described(self, document: dict[str, Any], *, where: str = "") -> tuple[Proxy, bool]:
        """The proxy a document describes, not started, and whether it is to be."""
        name = field(document, "name", str, "")
        upstream = field(document, "upstream", str, "")
        listen = field(document, "listen", str, "")
        enabled = field(document, "enabled", bool, True)
        if not name:
            raise missing(f"name{where}")
        if not upstream:
            raise missing(f"upstream{where}")
        return Proxy(name, listen=listen, upstream=upstream, events=self.events), enabled

    def populate(self, documents: list[Any]) -> tuple[list[Proxy], ApiError | None]:
        """Create or replace each; a proxy that is as described already is left as it is."""
        made: list[Proxy] = []
        try:
            described = []
            for number, document in enumerate(documents, start=1):
                if not isinstance(document, dict):
                    raise bad_request(f"cannot read a {type(document).__name__} as a proxy")
                described.append(self.described(document, where=f" at proxy {number}"))
            for proxy, enabled in described:
                made.append(self._add_or_replace(proxy, enabled=enabled))
        except ApiError as error:
            return made, error
        return made, None

    def _add_or_replace(self, proxy: Proxy, *, enabled: bool) -> Proxy:
        existing = self.proxies.get(proxy.name)
        if existing is not None:
            if existing.upstream == proxy.upstream and existing.listen == proxy.listen:
                return existing
            existing.stop()
            existing.detach_compute()
        if enabled:
            start(proxy)
        self.proxies[proxy.name] = proxy
        return proxy

    def update(self, proxy: Proxy, document: dict[str, Any]) -> None:
        """Change listen, upstream or enabled of a proxy, as `PATCH /proxies/{name}` does."""
        listen = field(document, "listen", str, proxy.listen)
        upstream = field(document, "upstream", str, proxy.upstream)
        enabled = field(document, "enabled", bool, proxy.enabled)
        if (listen, upstream) != (proxy.listen, proxy.upstream):
            proxy.stop()
            proxy.listen, proxy.upstream = listen or "127.0.0.1:0", upstream
        if enabled:
            start(proxy)
        else:
            proxy.stop()

    def remove(self, name: str) -> None:
        proxy = self.get(name)
        proxy.stop()
        proxy.detach_compute()
        del self.proxies[name]

    def reset(self) -> None:
        """Enable every proxy and take away every toxic."""
        for proxy in self.proxies.values():
            start(proxy)
            for attached in list(proxy.toxics):
                proxy.remove_toxic(attached)

    def close(self) -> None:
        for name in list(self.proxies):
            self.remove(name)


def start(proxy: Proxy) -> None:
    """Bind the proxy's port. Raises `ApiError` 500 when that fails."""
    try:
        proxy.start()
    except OSError as error:
        # Go's words, so that a client that reads them finds what it looks for.
        reason = str(error.strerror or error).lower()
        raise ApiError(f"listen tcp {proxy.listen}: bind: {reason}", 500) from error


def add_toxic(proxy: Proxy, document: dict[str, Any]) -> AttachedToxic:
    """A new toxic as `POST /proxies/{name}/toxics` describes it."""
    type_ = field(document, "type", str, "")
    stream = field(document, "stream", str, "downstream")
    toxicity = field(document, "toxicity", float, 1.0)
    attributes = field(document, "attributes", dict, {})
    name = field(document, "name", str, "") or f"{type_}_{stream}"
    if stream not in STREAMS:
        raise ApiError("stream was invalid, can be either upstream or downstream", 400)
    if type_ not in TOXICS:
        raise ApiError("invalid toxic type", 400)
    if proxy.toxic(name) is not None:
        raise ApiError("toxic already exists", 409)
    try:
        toxic = TOXICS[type_].from_attributes(attributes)
    except BadAttributeError as error:
        raise bad_request(error) from error
    attached = AttachedToxic(name, stream, toxicity, toxic)
    proxy.add_toxic(attached)
    return attached


def toxic_of(proxy: Proxy, name: str) -> AttachedToxic:
    attached = proxy.toxic(name)
    if attached is None:
        raise ApiError("toxic not found", 404)
    return attached


def update_toxic(proxy: Proxy, name: str, document: dict[str, Any]) -> AttachedToxic:
    """Change a toxic's attributes and toxicity; nothing else of it can be changed."""
    attached = toxic_of(proxy, name)
    toxicity = field(document, "toxicity", float, attached.toxicity)
    try:
        attached.toxic.update(field(document, "attributes", dict, {}))
    except BadAttributeError as error:
        raise bad_request(error) from error
    attached.toxicity = toxicity
    proxy.update_toxic(attached)
    return attached
