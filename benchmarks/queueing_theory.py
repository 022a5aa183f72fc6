"""Closed forms that the simulated stack is held against: queueing theory for the cases that have one.

c is the pool's capacity, λ the arrival rate, μ = 1/S the service rate of one connection, ρ = λ/(cμ) the load.
"""

import math
import random
from dataclasses import dataclass

from harness.model.errors import UserError


def served_after_wake(
    requests: int, *, capacity: int, wake_latency_s: float, pool_timeout_s: float, service_s: float
) -> int:
    """How many of `requests` at once at a sleeping compute are served: all connections new, connecting patient.

    The first c are served at the wake; after it c more each service time, until the queue's patience runs out.
    """
    waves = 1
    if pool_timeout_s >= wake_latency_s:
        waves += math.floor((pool_timeout_s - wake_latency_s) / service_s)
    return min(requests, capacity * waves)


def erlang_c(servers: int, load: float) -> float:
    """The probability that an arrival waits in M/M/c; `load` is a = λ/μ, in Erlang, below `servers`."""
    blocking = 1.0
    # Erlang B by its recursion, which neither overflows nor cancels.
    for count in range(1, servers + 1):
        blocking = load * blocking / (count + load * blocking)
    return servers * blocking / (servers - load * (1 - blocking))


def lost_to_impatience(*, servers: int, arrivals_per_s: float, service_s: float, patience_s: float) -> float:
    """The share of arrivals that leave M/M/c's queue after a fixed patience, for a load below 1.

    Boots and Tijms, "A Multiserver Queueing System with Impatient Customers", Management Science 45 (1999).
    """
    load = arrivals_per_s * service_s
    rho = load / servers
    waits_longer = erlang_c(servers, load) * math.exp(-(servers / service_s - arrivals_per_s) * patience_s)
    return (1 - rho) * waits_longer / (1 - rho * waits_longer)


def wakes_per_s(*, arrivals_per_s: float, suspend_after_s: float, wake_latency_s: float, service_s: float) -> float:
    """How often a compute wakes that serves one request at a time and suspends when it has been idle long enough."""
    sleeps = math.exp(-arrivals_per_s * suspend_after_s)
    busy_s = (service_s + sleeps * wake_latency_s) / (1 - arrivals_per_s * service_s)
    return sleeps / (1 / arrivals_per_s + busy_s)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless times with this mean: what queueing theory can compute with."""

    mean_s: float

    def __post_init__(self) -> None:
        if not self.mean_s > 0:
            raise UserError(f"mean must be positive, got {self.mean_s:g}", where="exponential")

    def draw(self, random_: random.Random) -> float:
        return random_.expovariate(1 / self.mean_s)

    def __str__(self) -> str:
        return f"exponential, mean {self.mean_s:g} s"
