"""How fast the simulated stack is: requests per second of CPU, where the time goes, 1,000 trials on all cores."""

import cProfile
import os
import pstats
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from benchmarks.queueing_model import played
from benchmarks.report import write_table
from harness.model.distribution import Constant
from harness.model.driver import Driver
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, pool
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.simulation.trial import simulate

BURST = Burst(requests=200, over_s=20)
ROUNDS = 7
TRIALS = 1000
SERVICE_S = 0.002
PAIRS = 15
"""Rounds of the two drivers, one after the other."""
LIBRARIES = {
    "sqlalchemy": "SQLAlchemy",
    "asyncpg": "asyncpg",
    "psycopg": "psycopg",
    "psycopg_binary": "psycopg",
    "asyncio": "asyncio",
    "harness": "this project",
}


def trial(short: str, wake_latency_s: float, seed: int, driver: Driver = Driver.ASYNCPG) -> Trial:
    wake = profile("neon", latency_s=wake_latency_s)
    pools = (pool(short, driver=driver),)
    scenario = Scenario(name="speed", wake=wake, pools=pools, timeline=(Warm(), Suspend(), BURST))
    return Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=wake, seed=seed)


def outcomes_of(seed: int) -> dict[str, int]:
    """One trial of the thousand."""
    rows = simulate(trial("10+5", 12.0, seed), Times(service=Constant(SERVICE_S)), sampled=False).requests
    return Counter(row["outcome"] for row in rows)


def requests_per_cpu_s(*, sampled: bool) -> float:
    """Of one core, the median of some rounds."""
    found = []
    for seed in range(ROUNDS):
        one = trial("10+5", 8.0, seed)
        began_s = time.process_time()
        simulate(one, Times(service=Constant(SERVICE_S)), sampled=sampled)
        found.append(BURST.requests / (time.process_time() - began_s))
    return median(found)


def psycopg_beside_asyncpg() -> tuple[float, float, float]:
    """Requests a CPU second with psycopg, as a multiple of those with asyncpg: quartiles of pairs, from the lowest."""
    ratios = []
    for seed in range(1 + PAIRS):
        took_s = {}
        for driver in Driver:
            one = trial("10+5", 8.0, seed, driver)
            began_s = time.process_time()
            simulate(one, Times(service=Constant(SERVICE_S)), sampled=False)
            took_s[driver] = time.process_time() - began_s
        ratios.append(took_s[Driver.ASYNCPG] / took_s[Driver.PSYCOPG])
    # The first pair imports what it needs.
    lower, middle, upper = quantiles(ratios[1:], n=4)
    return lower, middle, upper


def shares() -> dict[str, float]:
    """Each part's share of the time, by whose file the function is in; what has no file counts for its caller."""
    profiler = cProfile.Profile()
    profiler.enable()
    for seed in range(3):
        simulate(trial("10+5", 8.0, seed), Times(service=Constant(SERVICE_S)), sampled=False)
    profiler.disable()
    spent: Counter[str] = Counter()
    for (file, _, _), (_, _, own_s, _, callers) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if file != "~":
            spent[_owner(file)] += own_s
        else:
            for (caller, _, _), (_, _, from_caller_s, _) in callers.items():
                spent[_owner(caller)] += from_caller_s
    total_s = sum(spent.values())
    return {name: own_s / total_s for name, own_s in spent.most_common()}


def _owner(file: str) -> str:
    parts = Path(file).parts
    return next((name for part, name in LIBRARIES.items() if part in parts), "the rest of Python")


def main() -> None:
    plain, sampled = requests_per_cpu_s(sampled=False), requests_per_cpu_s(sampled=True)
    lower, ratio, upper = psycopg_beside_asyncpg()
    began_s = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        list(processes.map(outcomes_of, range(TRIALS), chunksize=10))
    thousand_s = time.perf_counter() - began_s
    modelled = PoolConfiguration(pool_size=10, max_overflow=5)
    began_s = time.process_time()
    model = [played(BURST.schedule(seed), modelled, wake_latency_s=12.0, service_s=SERVICE_S) for seed in range(ROUNDS)]
    model_per_s = ROUNDS * BURST.requests / (time.process_time() - began_s)
    real = [outcomes_of(seed) for seed in range(ROUNDS)]
    write_table(
        "simulation-speed",
        ("what", "figure"),
        [
            ["requests per second of CPU", f"{plain:,.0f}"],
            ["the same with the pool's timeline sampled", f"{sampled:,.0f}"],
            [f"psycopg's as a multiple of asyncpg's, {PAIRS} pairs", f"{ratio:.2f} ({lower:.2f} to {upper:.2f})"],
            [f"{TRIALS:,} trials of {BURST.requests} requests, all cores", f"{thousand_s:.0f} s"],
            *([f"share of the time in {name}", f"{share:.0%}"] for name, share in shares().items()),
        ],
    )
    write_table(
        "simpy",
        ("outcome, 10+5, wake 12 s", "SimPy model", "real pool in virtual time"),
        [
            *(
                [name, str(sum(one[name] for one in model)), str(sum(one.get(name, 0) for one in real))]
                for name in ("ok", "pool_timeout", "connect_timeout")
            ),
            ["requests per second of CPU", f"{model_per_s:,.0f}", f"{plain:,.0f}"],
        ],
    )


if __name__ == "__main__":
    main()
