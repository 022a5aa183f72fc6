"""How long things take in the simulated world: distributions with a seed of their own, in seconds."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Self

from harness.model.limits import check_number
from harness.model.scenario import Scenario
from harness.model.wake import Constant, WakeLatency

Draw = Callable[[], float]
NONE = Constant(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Round trip, service time of a statement, time to connect while the compute is awake; 0 unless given."""

    round_trip: WakeLatency = field(default=NONE)
    service: WakeLatency = field(default=NONE)
    connect: WakeLatency = field(default=NONE)
    measured: bool = False
    """Whether they come from a calibration: then they stand for the scenario's own."""

    def of_the_story(self, scenario: Scenario, *, asked: Collection[str] = ()) -> Self:
        """These times, with the scenario's own where nothing was measured or asked for (`service_time_s`, …)."""
        if self.measured:
            return self

        def own(name: str, mine: WakeLatency) -> WakeLatency:
            seconds = getattr(scenario, f"{name}_time_s")
            return mine if seconds is None or f"{name}_time_s" in asked else given(seconds, name)

        return replace(self, service=own("service", self.service), connect=own("connect", self.connect))

    def way(self, seed: int) -> Draw:
        """One way: half a round trip."""
        draw = drawing(self.round_trip, f"round trip/{seed}")
        return lambda: draw() / 2


def drawing(distribution: WakeLatency, name: str) -> Draw:
    """Draws of a distribution, from a stream of their own."""
    if isinstance(distribution, Constant):
        seconds = distribution.latency_s
        return lambda: seconds
    random_ = random.Random(name)
    return lambda: distribution.draw(random_)


def given(seconds: float, name: str) -> WakeLatency:
    """A constant from the command line. Raises `UserError` for one that can't be a time."""
    check_number(name, seconds, where="stack simulated")
    return Constant(seconds)
