"""The times of the simulated database, as distributions, in seconds, and the kernel that its clients ask through."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from harness.model.distribution import Constant, Distribution, Empirical
from harness.model.kernel import LINUX_6_5, Kernel

Draw = Callable[[], float]
NONE = Constant(0.0)


def no_way() -> float:
    """The time of one way where a round trip takes none: whoever is given this function need not call it."""
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The round trip, the service time of a statement, and the time to connect while the compute is awake."""

    round_trip: Distribution = field(default=NONE)
    service: Distribution = field(default=NONE)
    connect: Distribution = field(default=NONE)
    kernel: Kernel = LINUX_6_5
    """The clients' own: how long it asks again where nobody answers."""

    def way(self, seed: int) -> Draw:
        """A function that draws the time of one way: half a round trip. `no_way` where there is nothing to draw."""
        if self.round_trip == NONE:
            return no_way
        draw = drawing(self.round_trip, f"round trip/{seed}")
        return lambda: draw() / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Samples of each time, in seconds, measured by `coldstart calibrate` on a database that is awake."""

    round_trip_s: tuple[float, ...]
    service_s: tuple[float, ...]
    """The time of a statement without its round trips."""
    connect_s: tuple[float, ...]
    """The time of a new connection without its round trips."""
    source: str

    def __post_init__(self) -> None:
        self.times()

    def times(self) -> Times:
        """Times that draw from the samples. Raises `UserError` where there are none."""
        return Times(
            round_trip=Empirical(self.round_trip_s),
            service=Empirical(self.service_s),
            connect=Empirical(self.connect_s),
        )

    def medians_s(self) -> dict[str, float]:
        """The median of each time, by name."""
        named = {"round trip": self.round_trip_s, "statement": self.service_s, "connect": self.connect_s}
        return {name: median(values) for name, values in named.items()}


def drawing(distribution: Distribution, name: str) -> Draw:
    """A function that draws from the distribution, with a random stream of its own, seeded by `name`."""
    if isinstance(distribution, Constant):
        seconds = distribution.latency_s
        return lambda: seconds
    random_ = random.Random(name)
    return lambda: distribution.draw(random_)
