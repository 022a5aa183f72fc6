"""What is linted: a configuration and what surrounds it, and a mend of either."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from harness.lint.configuration import Configuration
from harness.model.driver import PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S, Driver
from harness.model.limits import MAX_CONNECTIONS, MAX_INSTANCES, check_number, check_whole
from harness.model.patience import PERSON_WAITS_S
from harness.model.pool import PoolConfiguration
from harness.model.retry import Retry
from harness.model.server import PoolMode
from harness.model.story import Story
from harness.model.trial import Trial
from harness.model.wake import WakeProfile

UPPER = 0.99
"""The share of the wakes that a timeout has to outlast."""
MARGIN = 1.25
"""A timeout that has to outlast the wake is the wake times this factor, rounded up to five seconds."""
RESERVED = 3
"""PostgreSQL's own superuser_reserved_connections: of max_connections these are not a service's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """A change that a finding suggests: of settings, or of what asks the service."""

    settings: Mapping[str, str] = field(default_factory=dict)
    client_timeout_s: float | None = None
    retry: Retry | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration in its surroundings. Durations in seconds. Raises `UserError` for what is out of range."""

    configuration: Configuration
    wake: WakeProfile
    client_timeout_s: float = PERSON_WAITS_S
    """How long whoever asks the service waits for an answer."""
    instances: int = 1
    workers: int = 1
    """Processes of an instance, each with a pool of its own."""
    max_connections: int | None = None
    idle_timeout_s: float | None = None
    """After how long without traffic a load balancer or NAT in front of the database forgets a connection."""
    pooler: PoolMode | None = None
    listener: bool = False
    """Whether each process also keeps a connection for LISTEN."""
    retry: Retry | None = None

    def __post_init__(self) -> None:
        check_number("--client-timeout", self.client_timeout_s, where="lint", above_least=True)
        check_whole("--instances", self.instances, where="lint", least=1, most=MAX_INSTANCES)
        check_whole("--workers", self.workers, where="lint", least=1, most=MAX_INSTANCES)
        check_whole("--instances × --workers", self.processes, where="lint", least=1, most=MAX_INSTANCES)
        if self.max_connections is not None:
            check_whole(
                "--max-connections", self.max_connections, where="lint", least=RESERVED + 1, most=MAX_CONNECTIONS
            )
            check_whole("connections of all pools", self.wanted, where="lint", most=MAX_CONNECTIONS)
        if self.idle_timeout_s is not None:
            check_number("--idle-timeout", self.idle_timeout_s, where="lint", above_least=True)

    @property
    def pool(self) -> PoolConfiguration:
        return self.configuration.pool

    @property
    def wake_s(self) -> float:
        """The wake that only one of a hundred is longer than."""
        return self.wake.latency.quantile(UPPER)

    @property
    def sleeps(self) -> bool:
        """Whether the database can be asleep, and takes any time to wake."""
        return self.wake.can_sleep and self.wake_s > 0

    @property
    def processes(self) -> int:
        """Of the service: each has a pool, and a listener where there is one."""
        return self.instances * self.workers

    @property
    def wanted(self) -> int:
        """The most connections that the service can ask the database for."""
        return self.processes * (self.pool.capacity + int(self.listener))

    @property
    def connecting_s(self) -> float:
        """How long connecting can take while the database is silent, all addresses together; infinite: no limit."""
        limit_s = self.pool.connection_limit_s
        if self.pool.runs_on is Driver.PSYCOPG:
            return (limit_s or PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S) * self.wake.addresses
        return limit_s or math.inf

    @property
    def outlasting_s(self) -> float:
        """A timeout, in whole seconds, that outlasts the wake with a margin."""
        return max(5.0, 5.0 * math.ceil(self.wake_s * MARGIN / 5 - 1e-9))

    def mended(self, mend: Mend) -> Self:
        """This case with the change made."""
        return replace(
            self,
            configuration=self.configuration.with_changes(mend.settings) if mend.settings else self.configuration,
            client_timeout_s=mend.client_timeout_s or self.client_timeout_s,
            retry=mend.retry or self.retry,
        )

    def trial(self, story: Story) -> Trial:
        """The story with this pool. Arrivals are given and its wake is one latency: the seed decides nothing."""
        (wake,) = story.wakes
        return Trial(number=0, story=story, pool=self.pool, wake=wake, seed=1)
