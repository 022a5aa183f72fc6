"""The cold start as people model it by hand: c servers and a queue with patience, in SimPy. For scale, not for use.

What it leaves out is what makes the difference: that connecting takes place inside the slot and has a timeout of its
own, that a slot whose connect failed goes to the next one in the queue, which starts to connect anew, that overflow
connections are closed as they come back, that connections in the pool may be dead.
"""

from collections import Counter
from collections.abc import Generator
from typing import Any

import simpy

from harness.model.arrivals import Arrival
from harness.model.pool import PoolConfiguration


def played(
    arrivals: tuple[Arrival, ...], pool: PoolConfiguration, *, wake_latency_s: float, service_s: float
) -> Counter[str]:
    """The outcomes of one trial: the compute answers nobody until the wake."""
    world = simpy.Environment()
    slots = simpy.Resource(world, capacity=pool.capacity)
    outcomes: Counter[str] = Counter()
    wakes_at_s = arrivals[0].at_s + wake_latency_s

    def request(arrival: Arrival) -> Generator[Any, Any, None]:
        yield world.timeout(arrival.at_s)
        with slots.request() as slot:
            got = yield slot | world.timeout(pool.queue_timeout_s)
            if slot not in got:
                outcomes["pool_timeout"] += 1
                return
            yield world.timeout(max(0.0, wakes_at_s - world.now) + service_s)
            outcomes["ok"] += 1

    for arrival in arrivals:
        world.process(request(arrival))
    world.run()
    return outcomes
