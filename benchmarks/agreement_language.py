"""The words of docs/scenarios.md on the simulated stack and on the embedded one: each in at least two cells.

A cell is one story with one pool: 200 requests or so, the same arrivals on both. Virtual time has the times that
`coldstart calibrate` measures first.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.agreement import REQUESTS_ALLOWED, Cell, outcomes
from benchmarks.report import SIMULATION_PAGE, write_table
from harness.cli.progress import watching
from harness.model.distribution import Constant
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.times import Calibration, Times
from harness.run import execute
from harness.scenario import (
    At,
    Burst,
    Checkout,
    Commit,
    ConnectCost,
    ConnectionLoss,
    Deploy,
    IdleReaper,
    OnDisconnect,
    Outage,
    Parallel,
    Query,
    RequestMix,
    RequestShape,
    Retry,
    Scenario,
    ServerLimits,
    Slow,
    Suspend,
    Traffic,
    Uniform,
    Upstream,
    Variant,
    Warm,
    Write,
    pool,
)  # fmt: skip
from harness.simulation.trial import simulate
from harness.stacks.base import RunOptions
from harness.stacks.calibrating import calibrate
from harness.wake import profile

PLAIN = Burst.rate(10, for_s=20)
LIMITED = {"pool_timeout": 4.0, "statement_timeout": 4.0}


def of(*steps: Checkout | Upstream | Parallel, **kind: object) -> RequestMix:
    """Every request has these steps, of a mix with reads."""
    return RequestMix.of({RequestShape("steps", *steps, **kind): 1, "read_track": 1})  # type: ignore[arg-type]


def burst(mix: RequestMix, per_s: float = 10) -> Burst:
    return Burst.rate(per_s, for_s=20, mix=mix)


def awake() -> Scenario:
    """Everything that needs no sleeping database."""
    held = of(Checkout(Query(), Upstream(Uniform(0.5, 1.5))))
    return Scenario(
        name="awake",
        wake=profile("always-on"),
        pools=(pool("5+0", **LIMITED), pool("5+5", **LIMITED)),
        timeline=(Warm(), PLAIN),
        control=False,
        variants=(
            Variant("restart", timeline=(Warm(), Traffic(PLAIN, At(5, Outage.restart(3))))),
            Variant("failover", timeline=(Warm(), Traffic(PLAIN, At(5, Outage.failover(6))))),
            Variant("outage, held", timeline=(Warm(), Traffic(PLAIN, At(5, Outage(5, "close", "hold"))))),  # type: ignore[arg-type]
            Variant("loss of half", timeline=(Warm(), Traffic(PLAIN, At(5, ConnectionLoss(0.5))))),
            Variant("loss by RST", timeline=(Warm(), Traffic(PLAIN, At(5, ConnectionLoss(0.6, "reset"))))),  # type: ignore[arg-type]
            Variant("slow, in traffic", timeline=(Warm(), Traffic(PLAIN, At(5, Slow(0.5)), At(12, Slow(0))))),
            Variant("load changes", timeline=(Warm(), Traffic(burst(held, 4), burst(held, 12)))),
            Variant("deploy of two", instances=2, timeline=(Warm(), Traffic(burst(held), At(5, Deploy(every_s=4))))),
            Variant("held over upstream", timeline=(Warm(), burst(held))),
            Variant("nested", timeline=(Warm(), burst(of(Checkout(Query(), Checkout(Query(0.1)), Upstream(0.5)))))),
            Variant(
                "parallel",
                timeline=(Warm(), burst(of(Parallel(Checkout(Query(0.4)), Checkout(Query(0.2)), Upstream(0.3))))),
            ),
            Variant("write and commit", timeline=(Warm(), burst(of(Checkout(Write(), Commit(), Upstream(0.4)))))),
            Variant("jobs with a gate", timeline=(Warm(), burst(of(*[Checkout(Query(0.5))] * 2, at_most=3)))),
            Variant("jobs, own pool", timeline=(Warm(), burst(of(*[Checkout(Query(0.5))] * 2, pool="2+0")))),
            Variant("disconnect, finish", client_timeout_s=1.5, timeline=(Warm(), burst(held, 12))),
            Variant(
                "disconnect, cancel",
                client_timeout_s=1.5,
                on_disconnect=OnDisconnect.CANCEL,
                timeline=(Warm(), burst(held, 12)),
            ),
            Variant(
                "idle in transaction",
                server=ServerLimits(idle_in_transaction_session_timeout_s=0.9),
                timeline=(Warm(), burst(held)),
            ),
            Variant("idle session", server=ServerLimits(idle_session_timeout_s=0.4)),
            Variant("role limit", server=ServerLimits(role_connection_limit=4), timeline=(Warm(0), burst(held))),
            Variant("max_connections", max_connections=4, timeline=(Warm(0), burst(held))),
            Variant(
                "connects cost", connect_cost=ConnectCost(Uniform(0.5, 2.0), at_a_time=2), timeline=(Warm(0), PLAIN)
            ),
            Variant("reaper, RST", reaper=IdleReaper(0.4)),
            Variant("reaper, silent", reaper=IdleReaper(0.4, silently=True)),
        ),
    )


def asleep() -> Scenario:
    """A wake of 6 s, and timeouts of 10 s or 4 s."""
    suspended = (Warm(), Suspend(), PLAIN)
    return Scenario(
        name="asleep",
        wake=tuple(profile("neon", latency_s=6, while_waking=how) for how in ("hold", "drop", "refuse", "error")),  # type: ignore[arg-type]
        pools=("5+0", pool("5+5", pool_timeout=4, connection_timeout=5)),
        timeline=suspended,
        control=False,
        variants=(
            Variant("a suspend before"),
            Variant("a suspend in traffic", timeline=(Warm(), Traffic(PLAIN, At(5, Suspend())))),
            Variant("three instances", instances=3),
            Variant("retries", retry=Retry(retries=2, wait_s=1.0, factor=2.0)),
            Variant("all at once", timeline=(Warm(), Suspend(), Burst(100, 0, "at_once"))),
        ),
    )


def settings() -> Scenario:
    """What the pool does with connections that the suspend ended."""
    closed = [profile("neon", latency_s=4, on_suspend=how) for how in ("close", "freeze", "reset")]
    return Scenario(
        name="settings",
        wake=tuple(closed),
        pools=tuple(
            pool(size, pool_timeout=6, **{name: value})
            for size in ("5+0", "5+5")
            for name, value in (("pool_pre_ping", False), ("use_lifo", False), ("pool_recycle", 2))
        ),
        timeline=(Warm(), Suspend(), PLAIN),
        control=False,
    )


def cells(scenario: Scenario, measured: Calibration, *, seed: int, parallel: int, out: Path) -> Iterator[Cell]:
    summaries = []
    for stack in ("embedded", "simulated"):
        real = stack == "embedded"
        overrides = Overrides(seed=seed, control=False, calibration=None if real else measured)
        plan = PlannedRun(scenario=scenario, overrides=overrides, real_time=real)
        options = RunOptions(parallel=parallel) if real else RunOptions()
        with watching(plan.trials) as progress:
            done = execute(plan, stack=stack, options=options, progress=progress, out=out, charts=False)
        summaries.append(done.summaries)
    for embedded, simulated in zip(*summaries, strict=True):
        yield Cell(embedded, simulated)


STATEMENTS_S = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03)


def statements(pool: PoolConfiguration) -> None:
    """How many requests are ok in virtual time with statements of so long, of the stories that depend on it."""
    plan = PlannedRun(scenario=awake(), overrides=Overrides(control=False))
    rows = []
    for trial in plan.trials:
        if trial.pool == pool:
            ok = [
                sum(row["outcome"] == Outcome.OK for row in simulate(trial, times, sampled=False).requests)
                for times in (Times(service=Constant(seconds), round_trip=Constant(0.0005)) for seconds in STATEMENTS_S)
            ]
            if max(ok) - min(ok) > REQUESTS_ALLOWED:
                rows.append([trial.variant, *map(str, ok)])
    write_table(
        "agreement-statements",
        ("story", *(f"{1000 * seconds:g} ms" for seconds in STATEMENTS_S)),
        rows,
        page=SIMULATION_PAGE,
    )


def main(names: list[str], seed: int, parallel: int) -> int:
    made = {scenario.name: scenario for scenario in (awake(), asleep(), settings())}
    with tempfile.TemporaryDirectory(prefix="coldstart-agreement-") as folder:
        measured = asyncio.run(calibrate(Path(folder)))
        found = [
            cell
            for name in names or made
            for cell in cells(made[name], measured, seed=seed, parallel=parallel, out=Path(folder) / "runs")
        ]
    rows = []
    for cell in found:
        trial = cell.embedded.trial
        wake = trial.wake
        assert wake is not None
        sleeps = f", {wake.on_suspend}, {wake.while_waking}" if wake.can_sleep else ""
        agrees = cell.requests_apart <= REQUESTS_ALLOWED * max(1.0, cell.embedded.requests / 200)
        verdict = ("yes" if agrees else "**no**") if cell.embedded.kept_schedule else "not measured"
        rows.append([
            f"{trial.variant or 'settings'}{sleeps}", trial.pool.label, outcomes(cell.embedded),
            outcomes(cell.other), str(cell.requests_apart), verdict,
        ])  # fmt: skip
    if not names:
        write_table(
            "agreement-language",
            ("story", "pool", "embedded", "simulated", "apart", "agrees"),
            rows,
            page=SIMULATION_PAGE,
        )
        statements(awake().pool_configurations[0])
    for row in rows:
        if names or row[-1] != "yes":
            print(" | ".join(row))
    apart = [row for row in rows if row[-1] != "yes"]
    print(f"{len(rows) - len(apart)} of {len(rows)} cells agree")
    return 1 if apart else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="awake, asleep, settings; left out, all, and the table is written")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4, help="trials in real time at a time")
    parser.add_argument("--statements", action="store_true", help="only what the time of a statement changes")
    given = parser.parse_args()
    if given.statements:
        statements(awake().pool_configurations[0])
        sys.exit(0)
    sys.exit(main(given.names, given.seed, given.parallel))
