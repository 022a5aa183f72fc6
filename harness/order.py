"""What a load generator is told to drive: a burst, its seed, and which share of its arrivals is its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from harness.arrivals import Arrival, RequestMix, share
from harness.scenario import Burst

LEAD_S = 0.1
LEAD_A_REQUEST_S = 20e-6
"""Drawing a schedule takes about 5 µs a request, and every worker draws the whole one at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The share `index` of `count` of a burst; the shares together are exactly the burst's schedule."""

    burst: Burst
    seed: int
    index: int = 0
    count: int = 1

    def arrivals(self) -> tuple[Arrival, ...]:
        """The arrivals to drive: those of the whole schedule whose number modulo `count` is `index`."""
        return share(self.burst.schedule(self.seed), index=self.index, count=self.count)

    def shares(self, count: int) -> tuple[Self, ...]:
        """The same order for `count` workers, one for each."""
        return tuple(replace(self, index=index, count=count) for index in range(count))

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": self.burst.requests,
            "over_s": self.burst.over_s,
            "arrivals": str(self.burst.arrivals),
            "mix": [[name.value, weight] for name, weight in self.burst.mix.weights],
            "hold_s": self.burst.mix.hold_s,
            "seed": self.seed,
            "index": self.index,
            "count": self.count,
        }

    @classmethod
    def from_json(cls, order: Mapping[str, Any]) -> Self:
        """Reads what `to_json` wrote, and ignores what else is there."""
        mix = RequestMix.of(dict(order["mix"]), hold_s=order["hold_s"])
        burst = Burst(requests=order["requests"], over_s=order["over_s"], arrivals=order["arrivals"], mix=mix)
        return cls(burst=burst, seed=order["seed"], index=order["index"], count=order["count"])


def lead_s(burst: Burst) -> float:
    """How long before its start a burst is ordered, so that the order is there and the schedule drawn in time."""
    return LEAD_S + LEAD_A_REQUEST_S * burst.requests
