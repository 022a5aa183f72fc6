"""`coldstart run`: one scenario, its pools, its wakes, on a stack."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from harness.arrivals import Pattern
from harness.cli.questions import asked
from harness.compute import OnSuspend, WhileWaking
from harness.stacks.base import RunOptions
from harness.stacks.choose import STACKS, choose, plays_in_real_time
from harness.trial import trials_of

CALIBRATION = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("scenario")
@click.option("--stack", type=click.Choice(["auto", *STACKS]), default="auto", show_default=True, help="Where to run.")
@click.option(
    "--pool", "pools", multiple=True, metavar="POOL",
    help="10+5, 10+5,pool_timeout=30, or env (the DATABASE_ variables); repeatable.",
)  # fmt: skip
@click.option(
    "--wake", "wakes", multiple=True, metavar="WAKE", help="8 (seconds), neon (a profile), neon:8, or measured.csv."
)
@click.option("--requests", type=int, help="Requests of the burst.")
@click.option("--over", "over_s", type=float, metavar="SECONDS", help="How long the burst is.")
@click.option("--arrivals", type=click.Choice([one.value for one in Pattern]), help="How the arrivals lie in time.")
@click.option("--warm", type=int, metavar="CONNECTIONS", help="Connections the pool holds when the compute suspends.")
@click.option(
    "--on-suspend", type=click.Choice([one.value for one in OnSuspend]), help="What happens to open connections."
)
@click.option(
    "--while-waking", type=click.Choice([one.value for one in WhileWaking]), help="What a new connection meets."
)
@click.option(
    "--alert-after", "alert_sustained_s", type=float, metavar="SECONDS", help="How long a pool must be over 80%."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of every pool; repeatable.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Seeds to run.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the arrivals and the wakes are drawn from.")
@click.option("--parallel", type=click.IntRange(min=1), help="Trials at a time; left out, the stack decides.")
@click.option("--workers", type=click.IntRange(min=1), help="Locust workers a trial; left out, one process drives all.")
@click.option("--service-time", "service_time_s", type=float, metavar="SECONDS", help="Simulated only: a query's time.")
@click.option("--connect-time", "connect_time_s", type=float, metavar="SECONDS", help="Simulated only: a connect.")
@click.option("--calibration", type=CALIBRATION, help="Simulated only: times that coldstart calibrate measured.")
@click.option("--control/--no-control", default=True, show_default=True, help="Also the same arrivals, compute awake.")
@click.option("--charts/--no-charts", default=None, help="Draw the charts.  [default: unless --json]")
@click.option("--out", type=FOLDER, help="Where runs are kept. [default: results/runs]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
def run(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Run SCENARIO and compare its pools. It is a name, or a path."""
    from harness.cli.progress import watching
    from harness.run import execute

    chosen = choose(given["stack"])
    scenario = asked(given, real_time=plays_in_real_time(chosen[0]))
    trials = trials_of(scenario, seed=given["seed"], repeat=given["repeat"], control=given["control"])
    options = RunOptions(
        parallel=given["parallel"],
        workers=given["workers"],
        service_time_s=given["service_time_s"],
        connect_time_s=given["connect_time_s"],
        calibration=given["calibration"],
    )
    with watching(trials) as progress:
        done = execute(
            scenario,
            trials,
            stack=chosen,
            options=options,
            out=given["out"],
            progress=progress,
            charts=not given["as_json"] if given["charts"] is None else given["charts"],
            argv=sys.argv[1:],
        )
    if given["as_json"]:
        click.echo(json.dumps(done.to_json()))
    else:
        from harness.cli.report import print_run

        print_run(done)
    return done.exit_status
