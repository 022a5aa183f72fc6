"""The share of one load generator: a load, its seed, and which of its arrivals are the generator's."""

from dataclasses import dataclass, replace
from typing import Self

from harness.model.arrivals import Arrival, share
from harness.model.retry import Retry
from harness.model.timeline import Load

LEAD_S = 0.1
LEAD_A_REQUEST_S = 20e-6
"""Added for each request: drawing a schedule takes about 5 µs a request, and every worker draws the full one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadShare:
    """The share `index` of `count` of a load; the shares together are exactly the load's schedule."""

    load: Load
    seed: int
    """Of its first burst."""
    first_number: int = 0
    """The number of its first request in the trial, and of its first burst: they go on from one load to the next."""
    first_burst: int = 0
    index: int = 0
    count: int = 1
    retry: Retry | None = None
    """What clients do after a failure; None: nothing."""

    def waits_s(self, number: int) -> list[float]:
        """The waits before each retry of a request; empty: no retries."""
        return [] if self.retry is None else self.retry.waits_s(self.seed, number)

    def arrivals(self) -> tuple[Arrival, ...]:
        """The arrivals to drive: those of the whole schedule whose number modulo `count` is `index`."""
        return share(self.load.schedule(self.seed), index=self.index, count=self.count)

    def split(self, count: int) -> tuple[Self, ...]:
        """This load for `count` workers, a share for each."""
        return tuple(replace(self, index=index, count=count) for index in range(count))


def lead_s(load: Load) -> float:
    """How long before its start a load is announced, in seconds: enough for every worker to draw its schedule."""
    return LEAD_S + LEAD_A_REQUEST_S * load.requests
