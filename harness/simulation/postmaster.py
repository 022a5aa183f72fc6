"""What a session needs of the server that it is a session of. `SimulatedPostgres` (backend.py) is the one there is."""

from collections.abc import Mapping
from typing import Protocol

from harness.model.compute import ErrorResponse
from harness.model.server import IdleReaper, ServerLimits
from harness.simulation.cores import Cores
from harness.simulation.loop import VirtualLoop
from harness.simulation.source import Source


class Postmaster(Protocol):
    """The server, as its sessions see it. They name themselves by the `key` that the compute knows them by."""

    loop: VirtualLoop
    password: str | None
    """None: everybody is trusted."""
    watches_bytes: bool
    """Whether it must hear of every message: a compute that suspends for want of traffic does."""

    parameters: Mapping[str, str]
    """ParameterStatus, as every client is told it on connecting."""

    limits: ServerLimits
    reaper: IdleReaper | None
    """What forgets idle connections on their way here; None: nothing."""

    cores: Cores | None
    """What its processes compute on; None: each has one of its own."""

    connect_cpu_s: float
    """How much of starting a session is computing."""

    def source(self) -> Source:
        """What one session's statements are answered from."""
        ...

    def draw_service_s(self) -> float:
        """What a statement takes."""
        ...

    def draw_connect_s(self) -> float:
        """What starting a session takes."""
        ...

    def draw_salt_and_nonce(self) -> tuple[bytes, str]:
        """For SCRAM, from the trial's seed."""
        ...

    def refusal(self, key: object) -> ErrorResponse | None:
        """Why there is no room for one more session; None: there is."""
        ...

    def session_began(self, key: object) -> None:
        """A session knows its role: from now on it counts for the role's limit, until its connection is gone."""
        ...

    def role_refusal(self) -> ErrorResponse | None:
        """Whether the role has too many sessions, the one that asks included; None: it has not."""
        ...

    def cancel(self, process_id: int, secret: int) -> None:
        """A cancel request came, on a connection of its own."""
        ...

    def notify(self, process_id: int, channel: str, payload: str) -> None:
        """Tell every session that listens to the channel."""
        ...

    def client_spoke(self, key: object) -> None:
        """A session's client sent something."""
        ...

    def answered(self, key: object, *, idle: bool) -> None:
        """A session is ready for its next query; `idle`: in no transaction."""
        ...

    def session_ended(self, key: object) -> None:
        """A session's connection is gone, whoever ended it."""
        ...
