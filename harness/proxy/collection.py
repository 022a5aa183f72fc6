"""The proxies of a server, and what the routes of Toxiproxy's API do to them.

Addresses are resolved before anything is stopped or replaced: a request that fails changes nothing.
"""

from collections.abc import Callable
from typing import Any

from harness.proxy.addresses import ANY_PORT, joined, resolved
from harness.proxy.bodies import ApiError, address_field, bad_request, field, missing
from harness.proxy.descriptors import DescriptorBudget
from harness.proxy.events import EventStream
from harness.proxy.link import AttachedToxic
from harness.proxy.proxy import STREAMS, Proxy
from harness.proxy.toxics import TOXICS, BadAttributeError


class ProxyCollection:
    """Every proxy of a server, by name."""

    def __init__(self, events: EventStream) -> None:
        self.events = events
        self.proxies: dict[str, Proxy] = {}
        self._budget = DescriptorBudget()

    def get(self, name: str) -> Proxy:
        try:
            return self.proxies[name]
        except KeyError:
            raise ApiError("proxy not found", 404) from None

    async def create(self, document: dict[str, Any], prepare: Callable[[Proxy], None] = lambda _: None) -> Proxy:
        """A new proxy as `POST /proxies` describes it; `prepare` is what it gets before its port is bound."""
        proxy, enabled = self._described(document)
        self._check_name_is_free(proxy.name)
        address = await _listening_address(proxy.listen) if enabled else None
        # Another request may have taken the name while this one's address was looked up.
        self._check_name_is_free(proxy.name)
        try:
            prepare(proxy)
            if address is not None:
                start(proxy, address)
        except ApiError:
            proxy.unwatch()
            raise
        self.proxies[proxy.name] = proxy
        return proxy

    def _check_name_is_free(self, name: str) -> None:
        if name in self.proxies:
            raise ApiError("proxy already exists", 409)

    def _described(self, document: dict[str, Any], *, where: str = "") -> tuple[Proxy, bool]:
        """The proxy a document describes, not started, and whether it is to be."""
        name = field(document, "name", str, "")
        upstream = address_field(document, "upstream", "")
        listen = address_field(document, "listen", "")
        enabled = field(document, "enabled", bool, True)
        if not name:
            raise missing(f"name{where}")
        if not upstream:
            raise missing(f"upstream{where}")
        return Proxy(name, listen=listen, upstream=upstream, events=self.events, budget=self._budget), enabled

    async def populate(self, documents: list[Any]) -> tuple[list[Proxy], ApiError | None]:
        """Create or replace each; a proxy that is as described already is left as it is."""
        made: list[Proxy] = []
        try:
            described = []
            for number, document in enumerate(documents, start=1):
                if not isinstance(document, dict):
                    raise bad_request(f"cannot read a {type(document).__name__} as a proxy")
                described.append(self._described(document, where=f" at proxy {number}"))
            for proxy, enabled in described:
                made.append(await self._add_or_replace(proxy, enabled=enabled))
        except ApiError as error:
            return made, error
        return made, None

    async def _add_or_replace(self, proxy: Proxy, *, enabled: bool) -> Proxy:
        needs_address = enabled or proxy.name in self.proxies
        address = await _listening_address(proxy.listen) if needs_address else None
        existing = self.proxies.get(proxy.name)
        if existing is not None:
            if existing.upstream == proxy.upstream and _is_at(existing, proxy.listen, address):
                return existing
            existing.stop()
            existing.unwatch()
        if enabled:
            assert address is not None
            start(proxy, address)
        self.proxies[proxy.name] = proxy
        return proxy

    async def update(self, proxy: Proxy, document: dict[str, Any]) -> None:
        """Change listen, upstream or enabled of a proxy, as `PATCH /proxies/{name}` does."""
        listen = address_field(document, "listen", proxy.listen) or ANY_PORT
        upstream = address_field(document, "upstream", proxy.upstream)
        enabled = field(document, "enabled", bool, proxy.enabled)
        address = await _listening_address(listen)
        if self.get(proxy.name) is not proxy:
            # Another request removed or replaced it while this one's address was looked up.
            raise ApiError("proxy not found", 404)
        if upstream != proxy.upstream or not _is_at(proxy, listen, address):
            proxy.stop()
            proxy.listen, proxy.upstream = listen, upstream
        if enabled:
            start(proxy, address)
        else:
            proxy.stop()

    def remove(self, name: str) -> None:
        proxy = self.get(name)
        proxy.stop()
        proxy.unwatch()
        del self.proxies[name]

    async def reset(self) -> None:
        """Enable every proxy and take away every toxic."""
        addresses = {name: await _listening_address(proxy.listen) for name, proxy in self.proxies.copy().items()}
        for name, address in addresses.items():
            proxy = self.proxies.get(name)
            if proxy is not None:
                start(proxy, address)
                for attached in list(proxy.toxics):
                    proxy.remove_toxic(attached)

    def close(self) -> None:
        for name in list(self.proxies):
            self.remove(name)


def start(proxy: Proxy, address: tuple[str, int]) -> None:
    """Bind the proxy's port. Raises `ApiError` 500 when that fails."""
    try:
        proxy.start(address)
    except OSError as error:
        # Go's words, so that a client that reads them finds what it looks for.
        reason = str(error.strerror or error).lower()
        raise ApiError(f"listen tcp {joined(*address)}: bind: {reason}", 500) from error


async def _listening_address(listen: str) -> tuple[str, int]:
    """The IP address and the port to bind. Raises `ApiError` 500, as Toxiproxy, when there is none."""
    try:
        return await resolved(listen)
    except OSError as error:
        raise ApiError(f"listen tcp: {error.strerror or error}", 500) from error


def _is_at(proxy: Proxy, listen: str, address: tuple[str, int] | None) -> bool:
    """Whether a proxy listens there already; one that has never been enabled has the text it was given."""
    return proxy.listen == listen or (address is not None and proxy.listen == joined(*address))


def add_toxic(proxy: Proxy, document: dict[str, Any]) -> AttachedToxic:
    """A new toxic as `POST /proxies/{name}/toxics` describes it."""
    type_ = field(document, "type", str, "")
    given_stream = field(document, "stream", str, "downstream")
    stream = given_stream.lower()
    toxicity = field(document, "toxicity", float, 1.0)
    attributes = field(document, "attributes", dict, {})
    name = field(document, "name", str, "") or f"{type_}_{given_stream}"
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
