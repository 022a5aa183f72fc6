"""What happens on a proxy, as its server tells it: each a record of the harness, and a line of its event stream."""

from typing import TypeAlias

import msgspec


class ProxyEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", forbid_unknown_fields=True):
    """Something happened on a proxy; as JSON also a line of the proxy server's event stream."""

    proxy: str
    """Its name."""
    at_s: float
    """When, on the monotonic clock."""


class ConnectionAccepted(ProxyEvent, frozen=True, kw_only=True, tag="accepted"):
    connection: int | None = None
    """Its number; None: seen in Toxiproxy's log, which does not tell."""
    client: str | None = None
    """Its client's `host:port`, where it is known."""


class ClientNamed(ProxyEvent, frozen=True, kw_only=True, tag="named"):
    """A client has said who it is, in a startup message that was not encrypted. Only where a compute sees the bytes."""

    connection: int
    user: str
    database: str
    application_name: str
    """Empty: it did not say."""


class DialFailed(ProxyEvent, frozen=True, kw_only=True, tag="dial_failed"):
    """The upstream could not be reached."""

    connection: int
    error: str


class Transferred(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes that a connection moved, by direction."""

    upstream: int
    downstream: int


class ConnectionClosed(ProxyEvent, frozen=True, kw_only=True, tag="closed"):
    connection: int
    bytes: Transferred


class ComputeSuspended(ProxyEvent, frozen=True, kw_only=True, tag="suspended"):
    pass


class FirstAttempt(ProxyEvent, frozen=True, kw_only=True, tag="first_attempt"):
    """The first connection attempt after a suspend, or a command in its place: the wake begins."""

    ready_at_s: float
    """When the compute is to answer again."""
    connection: int | None = None
    """Whose attempt it was; None: a connection request that was dropped, a command, or not known."""
    commanded: bool = False
    """Nobody asked for a connection: it was told to wake."""


class ComputeWoken(ProxyEvent, frozen=True, kw_only=True, tag="woken"):
    planned_at_s: float
    """When it was to answer again."""


class ProxyStalled(ProxyEvent, frozen=True, kw_only=True, tag="stalled"):
    """The proxy server's loop stood still, and every proxy with it, since `at_s`."""

    for_s: float


class ConnectionReleased(ProxyEvent, frozen=True, kw_only=True, tag="released"):
    """A held connection reached the database."""

    connection: int
    late_s: float
    """How long after the planned wake."""


AnyProxyEvent: TypeAlias = (
    ConnectionAccepted
    | ClientNamed
    | DialFailed
    | ConnectionClosed
    | ComputeSuspended
    | FirstAttempt
    | ComputeWoken
    | ConnectionReleased
    | ProxyStalled
)
