"""The example applications, each on the embedded stack and in virtual time: the table of both.

For each application, pool and connection timeout: the wake of 8 s and 200 requests over 20 s, real several times with
other arrivals, and the same arrivals in virtual time from its recording. The speed is a ratio: the seconds that the
trials took, real over virtual, whose process is started and whose application is imported anew for each trial.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agreement import outcomes
from benchmarks.report import APPLICATIONS_PAGE, write_table
from harness.application.requests_file import read_requests
from harness.application.variables import read_variables
from harness.cli.progress import watching
from harness.library import load_scenario
from harness.model.application import Application
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import pool
from harness.model.summary import TrialSummary
from harness.model.wake import read_wake
from harness.run import execute
from harness.stacks.base import RunOptions

EXAMPLES = Path(__file__).parent.parent / "examples"
POOLS = ("5+0", "10+5")
TIMEOUTS_S = (3.0, 10.0)
WAKE_S = 8.0
REQUESTS_ALLOWED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An application of examples/, and what it needs."""

    name: str
    app: str = "main:app"
    driver: str | None = None
    init: str | None = None
    variables: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """What its README has in front of the command."""

    def application(self, python: str | None, *, cpu: bool) -> Application:
        folder = EXAMPLES / self.name
        return Application(
            app=self.app,
            mix=read_requests(folder / "requests.toml"),
            python=python,
            folder=str(folder),
            variables=read_variables(self.variables),
            init=None if self.init is None else str(folder / self.init),
            recording=str(folder / "recording.jsonl"),
            cpu=cpu,
        )

    def pools(self) -> tuple[PoolConfiguration, ...]:
        driver = {} if self.driver is None else {"driver": self.driver}
        return tuple(pool(short, connection_timeout=timeout_s, **driver) for short in POOLS for timeout_s in TIMEOUTS_S)


APPLICATIONS = {
    example.name: example
    for example in (
        Example(name="minimal", init="schema.sql"),
        Example(name="shop"),
        Example(name="psycopg_shop", driver="psycopg", init="schema.sql"),
        Example(
            name="prefect",
            app="prefect.server.api.server:create_app",
            variables=("prefect",),
            environment=(("PREFECT__SERVER_WEBSERVER_ONLY", "1"),),
        ),
    )
}


def played(
    example: Example, python: str | None, *, seeds: int, stack: str, parallel: int, out: Path, cpu: bool = False
) -> list[TrialSummary]:
    """Every pool with every seed, on one stack; the marked trials say so themselves."""
    in_virtual_time = stack == "simulated"
    overrides = Overrides(
        application=example.application(python, cpu=cpu and in_virtual_time),
        pools=example.pools(),
        wakes=(read_wake(f"{WAKE_S:g}", where="benchmark"),),
        repeat=seeds,
        control=False,
    )
    plan = PlannedRun(scenario=load_scenario("cold_burst"), overrides=overrides, real_time=not in_virtual_time)
    options = RunOptions(parallel=1 if in_virtual_time else parallel)
    with watching(plan.trials) as progress:
        return execute(plan, stack=stack, options=options, progress=progress, out=out, charts=False).summaries


def row(example: Example, real: TrialSummary, virtual: TrialSummary) -> list[str]:
    """One trial on both stacks."""
    apart = requests_apart(real, virtual)
    measured = real.kept_schedule and virtual.as_recorded
    return [
        example.name, real.trial.configuration, str(real.trial.seed), outcomes(real), outcomes(virtual), str(apart),
        f"{real.latency_s['p95']:.2f} / {virtual.latency_s['p95']:.2f}",
        ("yes" if apart <= REQUESTS_ALLOWED else "**no**") if measured else "not measured",
    ]  # fmt: skip


def requests_apart(real: TrialSummary, virtual: TrialSummary) -> int:
    """The largest difference in any outcome."""
    return max(abs(real.count(outcome) - virtual.count(outcome)) for outcome in Outcome)


def main(names: Sequence[str], *, seeds: int, parallel: int, cpu: bool, pythons: dict[str, str]) -> int:
    rows, speeds, disagreeing = [], [], 0
    with tempfile.TemporaryDirectory(prefix="coldstart-agreement-") as folder:
        for example in (APPLICATIONS[name] for name in names):
            os.environ.update(example.environment)
            both = [
                played(
                    example,
                    pythons.get(example.name),
                    seeds=seeds,
                    stack=stack,
                    parallel=parallel,
                    out=Path(folder),
                    cpu=cpu,
                )
                for stack in ("embedded", "simulated")
            ]
            rows += [row(example, *cell) for cell in zip(*both, strict=True)]
            disagreeing += sum(requests_apart(*cell) > REQUESTS_ALLOWED for cell in zip(*both, strict=True))
            real_s, virtual_s = (sum(one.wall_s for one in trials) for trials in both)
            trials = len(both[0])
            each = (f"{real_s / trials:.1f} s", f"{virtual_s / trials:.2f} s", f"{real_s / virtual_s:.0f}")
            speeds.append([example.name, str(trials), *each])
    header = ("application", "pool", "seed", "embedded", "simulated", "apart", "p95 [s]", "agrees")
    write_table("agreement-applications", header, rows, page=APPLICATIONS_PAGE)
    write_table(
        "speed-applications", ("application", "trials", "real, each", "virtual, each", "ratio"), speeds,
        page=APPLICATIONS_PAGE,
    )  # fmt: skip
    print(f"{len(rows) - disagreeing} of {len(rows)} cells agree")
    return 1 if disagreeing else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="APPLICATION", help=", ".join(APPLICATIONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=2, help="trials in real time at a time")
    parser.add_argument("--cpu", action="store_true", help="charge the recorded computing in virtual time")
    parser.add_argument("--prefect", metavar="PATH", help="the virtual environment that has Prefect's server")
    given = parser.parse_args()
    chosen = given.names or [name for name in APPLICATIONS if name != "prefect" or given.prefect]
    pythons = {"prefect": given.prefect} if given.prefect else {}
    sys.exit(main(chosen, seeds=given.seeds, parallel=given.parallel, cpu=given.cpu, pythons=pythons))
