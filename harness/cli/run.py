"""`coldstart run`: one scenario, its pools, its wakes, on a stack."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from harness.cli.options import APPLICATION, FAILING, KEEPING, RUNNING, SEEDS, SIMULATED, STORY, with_options
from harness.cli.questions import overrides_of
from harness.cli.terminal import echo
from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.limits import MAX_PROCESSES
from harness.model.plan import PlannedRun
from harness.stacks.base import RunOptions, Stack
from harness.stacks.choose import STACKS, TARGET, choose, plays_in_real_time


@click.command()
@click.argument("scenario")
@click.option("--stack", type=click.Choice(["auto", *STACKS]), default="auto", show_default=True, help="Where to run.")
@click.option(
    "--pool", "pools", multiple=True, metavar="POOL",
    help="10+5, 10+5,pool_timeout=30, or env (the DATABASE_ variables); with a name: 'the fix: 10+5'; repeatable.",
)  # fmt: skip
@click.option(
    "--wake", "wakes", multiple=True, metavar="WAKE", help="8 (seconds), neon (a profile), neon:8, or measured.csv."
)
@with_options(STORY)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of every pool; repeatable.")
@with_options(SEEDS)
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_PROCESSES),
    help="Locust workers a trial; left out, one process drives all.",
)
@click.option(
    "--preview/--no-preview", default=None,
    help="First say what virtual time expects.  [default: where trials have to wait for their turn]",
)  # fmt: skip
@with_options(RUNNING, SIMULATED, APPLICATION, KEEPING, FAILING)
def run(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Run SCENARIO and compare its pools. It is a name, or a path."""
    from harness.cli.preview import show_preview
    from harness.cli.progress import watching
    from harness.gate.fail_if import failing, read_conditions
    from harness.run import execute

    conditions = read_conditions(given["fail_if"])
    chosen, plan, options = _planned(given)
    show_preview(chosen[0], plan, options, partial(echo, err=True), given["preview"])
    with watching(plan.trials) as progress:
        done = execute(
            plan,
            stack=chosen,
            options=options,
            out=given["out"],
            progress=progress,
            charts=not given["as_json"] if given["charts"] is None else given["charts"],
            argv=sys.argv[1:],
        )
    if given["as_json"]:
        echo(json.dumps(done.to_json()))
    else:
        from harness.cli.run_output import print_run

        print_run(done)
    if done.unwritten:
        echo(f"coldstart: {done.unwritten}", err=True)
    found = failing(conditions, plan.trials, done.summaries)
    for line in found.lines:
        echo(f"coldstart: {line}", err=True)
    return found.exit_status_after(done.exit_status)


def plan_of(words: Sequence[str]) -> tuple[tuple[Stack, str], PlannedRun, RunOptions]:
    """What these arguments of `coldstart run` ask for: for code that runs the same. Raises `UserError`."""
    try:
        with run.make_context("run", list(words)) as context:
            return _planned(context.params)
    except click.ClickException as error:
        raise UserError(error.format_message(), where="coldstart run") from None


def _planned(given: dict[str, Any]) -> tuple[tuple[Stack, str], PlannedRun, RunOptions]:
    scenario, overrides = load_scenario(given["scenario"]), overrides_of(given)
    chosen = choose(_stack(given))
    if given["recording"] is not None and plays_in_real_time(chosen[0]):
        raise UserError("--recording belongs to the simulated stack", where=f"stack {chosen[0].name}")
    plan = PlannedRun(scenario=scenario, overrides=overrides, real_time=plays_in_real_time(chosen[0]))
    return chosen, plan, RunOptions(parallel=given["parallel"], workers=given["workers"], up_port=given["up_port"])


def _stack(given: dict[str, Any]) -> str:
    """The stack's name: a running application has one of its own. Raises `UserError`."""
    stack: str = given["stack"]
    if given["target"] is None:
        return stack
    if stack not in ("auto", TARGET):
        raise UserError(
            f"a running application is on no {stack} stack", where="--target", allowed="--stack left out, or target"
        )
    return TARGET
