"""The simulated stack beside closed forms: tables of docs/simulation.md."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import mean, stdev

from benchmarks.queueing_theory import Exponential, lost_to_impatience, served_after_wake, wakes_per_s
from benchmarks.report import SIMULATION_PAGE, write_table
from harness.model.distribution import Constant
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.timeline import Burst, Idle, Suspend, Warm
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.simulation.trial import simulate

PATIENT_S = 10_000.0
T95 = {4: 2.776, 7: 2.365, 9: 2.262}
"""Student's t, two-sided 95 %, by degrees of freedom."""


def pool(pool_size: int, max_overflow: int = 0, *, pool_timeout_s: float = PATIENT_S) -> PoolConfiguration:
    """A pool in which nothing but its queue gives up."""
    return PoolConfiguration(
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout_s=pool_timeout_s,
        connection_timeout_s=PATIENT_S,
        statement_timeout_s=PATIENT_S,
    )


def trial(scenario: Scenario, *, asleep: bool, seed: int) -> Trial:
    wake = scenario.wakes[0] if asleep else None
    return Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=wake, seed=seed)


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Everybody at once, at a sleeping compute, with a pool that has never connected."""

    requests: int
    pool_size: int
    max_overflow: int
    wake_latency_s: float
    pool_timeout_s: float
    service_s: float

    def expected(self) -> int:
        return served_after_wake(
            self.requests, capacity=self.pool_size + self.max_overflow, wake_latency_s=self.wake_latency_s,
            pool_timeout_s=self.pool_timeout_s, service_s=self.service_s,
        )  # fmt: skip

    def measured(self) -> int:
        scenario = Scenario(
            name="burst",
            wake=profile("neon").with_changes(latency_s=self.wake_latency_s),
            pools=(pool(self.pool_size, self.max_overflow, pool_timeout_s=self.pool_timeout_s),),
            timeline=(Suspend(), Burst(requests=self.requests, over_s=0, arrivals="at_once")),
            client_timeout_s=PATIENT_S,
        )
        rows = simulate(trial(scenario, asleep=True, seed=1), Times(service=Constant(self.service_s)), sampled=False)
        return sum(row["outcome"] == "ok" for row in rows.requests)


BURSTS = tuple(
    AtOnce(100, size, 0, wake_s, timeout_s, service_s)
    for size in (1, 5, 15)
    for wake_s, timeout_s, service_s in ((8, 5, 0.1), (8, 10.05, 0.1), (8, 8.5, 0.2), (12, 30.3, 1.0))
)
BURSTS_WITH_OVERFLOW = tuple(AtOnce(100, size, overflow, 8, 10.25, 0.5) for size, overflow in ((5, 5), (10, 5), (1, 9)))


@dataclass(frozen=True, slots=True)
class Patience:
    """M/M/c: Poisson arrivals, exponential service, a queue that gives up after a fixed time, the compute awake."""

    servers: int
    load: float
    patience_services: float
    """The patience, in mean service times."""

    SERVICE_S = 0.1

    def expected(self) -> float:
        return lost_to_impatience(
            servers=self.servers, arrivals_per_s=self.arrivals_per_s, service_s=self.SERVICE_S,
            patience_s=self.patience_services * self.SERVICE_S,
        )  # fmt: skip

    @property
    def arrivals_per_s(self) -> float:
        return self.load * self.servers / self.SERVICE_S

    def measured(self, *, requests: int = 3000, seeds: int = 8) -> list[float]:
        """The share lost, a seed each."""
        return [self._lost(requests, seed) for seed in range(seeds)]

    def _lost(self, requests: int, seed: int) -> float:
        scenario = Scenario(
            name="patience",
            wake=profile("neon"),
            pools=(pool(self.servers, pool_timeout_s=self.patience_services * self.SERVICE_S),),
            timeline=(Warm(), Burst(requests=requests, over_s=requests / self.arrivals_per_s)),
            client_timeout_s=PATIENT_S,
        )
        times = Times(service=Exponential(self.SERVICE_S))
        rows = simulate(trial(scenario, asleep=False, seed=seed), times, sampled=False).requests
        # The first tenth finds the queue emptier than it will be.
        settled = [row for row in rows if row["number"] >= requests / 10]
        return sum(row["outcome"] != "ok" for row in settled) / len(settled)


PATIENCES = tuple(
    Patience(servers, load, patience)
    for servers in (1, 2, 5, 15)
    for load in (0.7, 0.9)
    for patience in (0.5, 1.0, 2.0)
)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A quiet service on one connection, over weeks, whose compute suspends after 300 idle seconds."""

    arrivals_per_s: float
    wake_latency_s: float = 8.0
    suspend_after_s: float = 300.0
    service_s: float = 0.05
    days: float = 7.0

    def expected(self) -> float:
        """Wakes a day."""
        return 86_400 * wakes_per_s(
            arrivals_per_s=self.arrivals_per_s, suspend_after_s=self.suspend_after_s,
            wake_latency_s=self.wake_latency_s, service_s=self.service_s,
        )  # fmt: skip

    def measured(self, *, seeds: int = 8) -> list[float]:
        """Wakes a day, a seed each."""
        return [self._wakes(seed) for seed in range(seeds)]

    def _wakes(self, seed: int) -> float:
        seconds = self.days * 86_400
        scenario = Scenario(
            name="sleeper",
            wake=profile("neon").with_changes(latency_s=self.wake_latency_s, on_suspend="close"),
            pools=(pool(1),),
            timeline=(Warm(), Burst(requests=round(self.arrivals_per_s * seconds), over_s=seconds), Idle(0.001)),
            client_timeout_s=PATIENT_S,
        )
        times = Times(service=Exponential(self.service_s))
        events = simulate(trial(scenario, asleep=True, seed=seed), times, sampled=False).events
        return sum(event["event"] == "woken" for event in events) / self.days


SLEEPERS = tuple(Sleeper(1 / seconds) for seconds in (60, 150, 300, 600, 1800))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of the mean."""
    half = T95[len(values) - 1] * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def tables() -> None:
    """Simulate every cell and write the three tables."""
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        patience = list(processes.map(Patience.measured, PATIENCES))
        sleeping = list(processes.map(Sleeper.measured, SLEEPERS))
    write_table(
        "theory-burst",
        ("pool", "wake [s]", "pool_timeout [s]", "service [s]", "served by the formula", "served by the real pool"),
        [
            [f"{one.pool_size}+{one.max_overflow}", f"{one.wake_latency_s:g}", f"{one.pool_timeout_s:g}",
             f"{one.service_s:g}", str(one.expected()), str(one.measured())]
            for one in BURSTS + BURSTS_WITH_OVERFLOW
        ],
        page=SIMULATION_PAGE,
    )  # fmt: skip
    write_table(
        "theory-patience",
        ("c", "load", "patience / S", "lost by the formula", "simulated, 95 % interval"),
        [
            [str(one.servers), f"{one.load:g}", f"{one.patience_services:g}", f"{one.expected():.2%}",
             "{:.2%} to {:.2%}".format(*interval(values))]
            for one, values in zip(PATIENCES, patience, strict=True)
        ],
        page=SIMULATION_PAGE,
    )  # fmt: skip
    write_table(
        "theory-sleep",
        ("mean gap between requests [s]", "wakes a day by the formula", "simulated, 95 % interval"),
        [
            [f"{1 / one.arrivals_per_s:.0f}", f"{one.expected():.1f}", "{:.1f} to {:.1f}".format(*interval(values))]
            for one, values in zip(SLEEPERS, sleeping, strict=True)
        ],
        page=SIMULATION_PAGE,
    )


if __name__ == "__main__":
    tables()
