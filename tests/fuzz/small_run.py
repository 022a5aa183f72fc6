"""A real run that is small: two pools, a wake and its control, twelve requests each, in virtual time."""

from pathlib import Path

from harness.cli.progress import watching
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.wake import profile
from harness.run import execute
from harness.scenario import Burst, Retry, Scenario, Suspend, Traffic, Variant, Warm
from harness.stacks.base import RunOptions

SCENARIO = Scenario(
    name="small",
    wake=profile("neon", latency_s=2.0),
    pools=(
        PoolConfiguration.from_short("1+0").with_settings({"pool_timeout": "1"}),
        PoolConfiguration.from_short("3+2").named("the fix"),
    ),
    timeline=(Warm(), Suspend(), Traffic(Burst(8, 1.0), Burst(4, 1.0))),
    variants=(Variant("as it is"), Variant("with retries", retry=Retry(retries=1, wait_s=0.2))),
    patience_s=3.0,
)


def small_run(out: Path) -> Path:
    """Play it, and return its folder."""
    plan = PlannedRun(scenario=SCENARIO)
    with watching(plan.trials) as progress:
        done = execute(
            plan, stack="simulated", options=RunOptions(parallel=1), progress=progress, out=out, charts=False,
            argv=["run", "small", "--stack", "simulated"],
        )  # fmt: skip
    return done.folder
