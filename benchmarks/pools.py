"""What four pools make of every way to suspend and to wake: the tables of docs/pools.md, in virtual time."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.report import POOLS_PAGE, write_table
from harness.library import load_scenario
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, pool
from harness.model.timeline import At, Burst, Idle, Outage, Suspend, TimelinePhase, Traffic, Warm
from harness.model.wake import WakeProfile, profile
from harness.simulation.rows import Row, Simulated
from harness.simulation.trial import simulate

POOLS: dict[str, dict[str, str]] = {
    "SQLAlchemy, asyncpg": {},
    "SQLAlchemy, psycopg": {"driver": "psycopg"},
    "asyncpg's pool": {"pool_library": "asyncpg"},
    "psycopg_pool": {"pool_library": "psycopg_pool"},
}
FAST_S = 0.1
LATENCY_S = 12.0
BURST = Burst(requests=200, over_s=20, arrivals="poisson")


def scenario(wake: WakeProfile, timeline: Sequence[TimelinePhase], pools: Sequence[PoolConfiguration]) -> Scenario:
    return replace(load_scenario("cold_burst"), wake=wake, timeline=tuple(timeline), pools=tuple(pools), expect={})


def played(wake: WakeProfile, timeline: Sequence[TimelinePhase], short: str = "5+0", **more: str) -> list[Simulated]:
    """The story with each of the four pools, in their order."""
    pools = [pool(short, **settings, **more) for settings in POOLS.values()]
    plan = PlannedRun(scenario=scenario(wake, timeline, pools), overrides=Overrides(control=False))
    return [simulate(trial, plan.times(trial.story)) for trial in plan.trials]


def cell(rows: Simulated, *, kept: int) -> str:
    """How many requests were lost, after what time, until which arrival, and what is left of `kept` connections."""
    lost = [row for row in rows.requests if row["outcome"] != Outcome.OK]
    parts = [f"{len(lost)}"]
    if lost:
        parts = [f"{len(lost)} {_how(lost)}", f"until {max(row['arrival_s'] for row in lost):.1f} s"]
    else:
        parts.append(f"slowest {max(row['latency_s'] for row in rows.requests):.1f} s")
    last = rows.pool[-1]
    if last["checked_out"]:
        parts.append(f"**{last['checked_out']} stuck**")
    elif last["size"] < kept:
        parts.append(f"pool of {last['size']}")
    return "; ".join(parts)


def _how(lost: Sequence[Row]) -> str:
    if any(row["outcome"] == Outcome.CLIENT_TIMEOUT for row in lost):
        return "**hang**"
    middle_s = median(row["latency_s"] for row in lost)
    return "at once" if middle_s < FAST_S else f"after {middle_s:.1f} s"


def behaviours() -> list[list[str]]:
    """A row for every way to suspend and to wake."""
    rows = []
    for suspend in OnSuspend:
        for waking in WhileWaking:
            wake = profile("neon", latency_s=LATENCY_S, on_suspend=suspend, while_waking=waking)
            rows.append(
                [
                    suspend.value,
                    waking.value,
                    *(cell(found, kept=5) for found in played(wake, (Warm(), Suspend(), BURST))),
                ]
            )
    return rows


def stories() -> list[list[str]]:
    """Other moments of a pool's life."""
    quick, slow = profile("neon", latency_s=0.1), profile("neon", latency_s=LATENCY_S)
    lone = Burst.at(0.0)
    told = (
        ("one request, 60 s after a suspend; wake 0.1 s; 5+0", quick, (Warm(), Suspend(), Idle(60.0), lone), "5+0"),
        ("the same with 4+0", quick, (Warm(), Suspend(), Idle(60.0), lone), "4+0"),
        ("60 s after a suspend the burst; wake 12 s", slow, (Warm(), Suspend(), Idle(60.0), BURST), "5+0"),
        ("a pool that has not opened yet; wake 12 s", slow, (Warm(0), Suspend(), BURST), "5+0"),
        ("10+5; wake 12 s", slow, (Warm(), Suspend(), BURST), "10+5"),
    )
    return [
        [name, *(cell(found, kept=int(short.partition("+")[0])) for found in played(wake, phases, short))]
        for name, wake, phases, short in told
    ]


def outages() -> list[list[str]]:
    """The pool of psycopg#1315, and the others of its size: 400 s without a database, a request every 10 s."""
    rows = []
    for meanwhile in WhileWaking:
        traffic = Traffic(
            Burst(requests=180, over_s=1800, arrivals="even"), At(60.0, Outage(for_s=400.0, meanwhile=meanwhile))
        )
        wake = profile("neon", latency_s=0.1)
        found = played(wake, (Warm(1), traffic), "1+1", pool_timeout="5")
        rows.append([meanwhile.value, *(cell(one, kept=1) for one in found)])
    return rows


def main() -> int:
    write_table("pools", ("on suspend", "while waking", *POOLS), behaviours(), page=POOLS_PAGE)
    write_table("outages", ("meanwhile", *POOLS), outages(), page=POOLS_PAGE)
    write_table("stories", ("story (close, hold)", *POOLS), stories(), page=POOLS_PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
