"""Another stack beside the embedded one: the same scenario, pools, wakes and seeds; the table of both.

Trials on embedded and compose take real time; simulated ones use times that `coldstart calibrate` measures first.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.report import POOLS_PAGE, SIMULATION_PAGE, STACKS_PAGE, write_table
from harness.cli.progress import watching
from harness.library import load_scenario
from harness.model.driver import Driver
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, Variant, pool
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.run import execute
from harness.stacks.base import RunOptions
from harness.stacks.calibrating import calibrate

POOLS = ("5+0", "10+5", "15+5", "10+10")
WAKES_S = (5.0, 8.0, 11.0)
SUSPENDS = ("close", "freeze", "terminate")
DRIVER_POOLS = ("5+0", "10+5")
DRIVER_WAKES_S = (8.0, 12.0)
WAYS = (
    ("close", "hold"), ("close", "drop"), ("close", "refuse"), ("close", "error"), ("terminate", "hold"),
    ("reset", "hold"), ("keep", "hold"), ("freeze", "hold"), ("vanish", "hold"), ("vanish", "drop"),
)  # fmt: skip
"""Every way of suspending and every way of waking, for both drivers."""
PATIENCE_S = 40.0
"""Of the clients there: psycopg has no limit for a ping on a frozen connection."""
LIBRARIES_POOLS = tuple(
    pool(short, pool_library=library) for library in ("asyncpg", "psycopg_pool") for short in ("5+0", "10+5")
)
LIBRARIES_WAKES_S = (8.0, 12.0)
LIBRARIES_SUSPENDS = (*SUSPENDS, "keep")
REQUESTS_ALLOWED = 2
P95_SHARE_ALLOWED = 0.05
P95_ALLOWED_S = 0.05


@dataclass(frozen=True, slots=True)
class Cell:
    """One trial on both stacks."""

    embedded: TrialSummary
    other: TrialSummary

    @property
    def requests_apart(self) -> int:
        """The largest difference in any outcome."""
        return max(abs(self.embedded.count(outcome) - self.other.count(outcome)) for outcome in Outcome)

    @property
    def p95_apart_s(self) -> float:
        return abs(self.embedded.latency_s["p95"] - self.other.latency_s["p95"])

    @property
    def agrees(self) -> bool:
        allowed_s = max(P95_ALLOWED_S, P95_SHARE_ALLOWED * self.embedded.latency_s["p95"])
        requests_allowed = max(REQUESTS_ALLOWED, self.embedded.requests // 100)
        return self.requests_apart <= requests_allowed and self.p95_apart_s <= allowed_s

    @property
    def verdict(self) -> str:
        if not (self.embedded.kept_schedule and self.other.kept_schedule):
            return "not measured"
        return "yes" if self.agrees else "**no**"

    def row(self) -> list[str]:
        wake = self.embedded.trial.wake
        assert wake is not None
        return [
            self.embedded.trial.configuration, f"{self.embedded.trial.wake_latency_s:g}",
            f"{wake.on_suspend.value}, {wake.while_waking.value}",
            outcomes(self.embedded), outcomes(self.other), str(self.requests_apart),
            f"{self.embedded.latency_s['p95']:.2f} / {self.other.latency_s['p95']:.2f}",
            self.verdict,
        ]  # fmt: skip


def of_the_pools(
    pools: tuple[str, ...] = POOLS, wakes_s: tuple[float, ...] = WAKES_S, suspends: tuple[str, ...] = SUSPENDS
) -> Scenario:
    """Every pool at every wake, for every way of suspending."""
    wakes = tuple(profile("neon", latency_s=wake, on_suspend=how) for how in suspends for wake in wakes_s)
    return replace(load_scenario("cold_burst"), pools=pools, wake=wakes)


def of_the_drivers() -> Scenario:
    """Both drivers, every way of suspending and of waking."""
    wakes = tuple(
        profile("neon", latency_s=wake, on_suspend=how, while_waking=meanwhile)
        for how, meanwhile in WAYS
        for wake in DRIVER_WAKES_S
    )
    pools = tuple(pool(short, driver=driver) for driver in Driver for short in DRIVER_POOLS)
    return replace(load_scenario("cold_burst"), pools=pools, wake=wakes, client_timeout_s=PATIENCE_S, expect={})


def of_the_libraries() -> Scenario:
    """The pools of asyncpg and of psycopg_pool, four ways of suspending."""
    wakes = tuple(
        profile("neon", latency_s=wake, on_suspend=how) for how in LIBRARIES_SUSPENDS for wake in LIBRARIES_WAKES_S
    )
    return replace(load_scenario("cold_burst"), pools=LIBRARIES_POOLS, wake=wakes)


def of_the_bottleneck() -> Scenario:
    """A service with more to do than its processor can: 200 arrivals a second, and 30 connects at once."""
    return replace(
        load_scenario("cold_burst"),
        pools=(pool("30+0", pool_timeout=2), pool("10+5", pool_timeout=2)),
        wake=tuple(profile("neon", latency_s=wake_s, on_suspend="close") for wake_s in (3.0, 4.0)),
        variants=(
            Variant("200 over 5 s", timeline=(Warm(), Suspend(), Burst(200, 5.0))),
            Variant("1,000 over 5 s", timeline=(Warm(), Suspend(), Burst(1000, 5.0))),
        ),
        expect={},
    )


MATRICES: dict[str, tuple[Callable[[], Scenario], Path]] = {
    "agreement-drivers": (of_the_drivers, SIMULATION_PAGE),
    "agreement-bottleneck": (of_the_bottleneck, SIMULATION_PAGE),
    "agreement-libraries": (of_the_libraries, POOLS_PAGE),
}
"""What can be compared beside the pools, by the name of its table, and the page that has it."""


def compare(scenario: Scenario, other: str, *, over_s: float | None, seed: int, parallel: int, out: Path) -> list[Cell]:
    """Run every cell on both stacks."""
    overrides = Overrides(over_s=over_s, seed=seed, control=False)
    out.mkdir(parents=True, exist_ok=True)
    measured = asyncio.run(calibrate(out)) if other == "simulated" else None
    found = {}
    for stack in ("embedded", other):
        in_virtual_time = stack == "simulated"
        options = RunOptions() if in_virtual_time else RunOptions(parallel=parallel)
        plan = PlannedRun(
            scenario=scenario,
            overrides=replace(overrides, calibration=measured if in_virtual_time else None),
            real_time=not in_virtual_time,
        )
        with watching(plan.trials) as progress:
            done = execute(plan, stack=stack, options=options, progress=progress, out=out / "runs", charts=False)
        found[stack] = done.summaries
    return [Cell(*both) for both in zip(found["embedded"], found[other], strict=True)]


def outcomes(one: TrialSummary) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in one.outcomes.items())


def main(other: str, over_s: float | None, seed: int, parallel: int, *, matrix: str) -> int:
    of_the_pools_page = SIMULATION_PAGE if other == "simulated" else STACKS_PAGE
    make, page = MATRICES.get(matrix, (of_the_pools, of_the_pools_page))
    with tempfile.TemporaryDirectory(prefix="coldstart-agreement-") as folder:
        cells = compare(make(), other, over_s=over_s, seed=seed, parallel=parallel, out=Path(folder))
    write_table(
        matrix,
        ("pool", "wake [s]", "suspend, waking", "embedded", other, "apart", "p95 [s]", "agrees"),
        [cell.row() for cell in cells],
        page=page,
    )
    disagreeing = [cell for cell in cells if not cell.agrees]
    print(f"{len(cells) - len(disagreeing)} of {len(cells)} cells agree")
    return 1 if disagreeing else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", choices=("simulated", "compose"), default="simulated", help="beside embedded")
    parser.add_argument("--over", type=float, help="the bursts' length in seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4, help="trials in real time at a time")
    of = parser.add_mutually_exclusive_group()
    of.add_argument("--drivers", dest="matrix", action="store_const", const="agreement-drivers",
                    help="both drivers, every way of suspending and waking")  # fmt: skip
    of.add_argument("--bottleneck", dest="matrix", action="store_const", const="agreement-bottleneck",
                    help="a service that has more to do than its processor can")  # fmt: skip
    of.add_argument("--libraries", dest="matrix", action="store_const", const="agreement-libraries",
                    help="the pools of asyncpg and psycopg_pool")  # fmt: skip
    given = parser.parse_args()
    sys.exit(main(given.stack, given.over, given.seed, given.parallel, matrix=given.matrix or "agreement"))
