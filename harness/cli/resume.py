"""`coldstart resume`: the rest of a run that was cut short."""

import json
from typing import Any

import click

from harness.cli.options import FAILING, SCHEDULED, with_options
from harness.cli.terminal import echo
from harness.results import find_run, read_manifest


@click.command()
@click.argument("run", default="newest")
@click.option("--charts/--no-charts", default=None, help="Draw the charts.  [default: unless --json]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
@with_options(SCHEDULED, FAILING)
def resume(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Play the rest of RUN, which was cut short. It is an id, its beginning, a path or newest; a sweep too."""
    from harness.cli.progress import watching
    from harness.cli.run_output import print_run
    from harness.cli.sweep import draw_sweep, print_sweep
    from harness.gate.fail_if import failing, read_conditions
    from harness.run import resume as resume_run

    conditions = read_conditions(given["fail_if"])
    folder = find_run(given["run"])
    manifest = read_manifest(folder)
    charts = not given["as_json"] if given["charts"] is None else given["charts"]
    is_sweep = manifest.argv[:1] == ["sweep"]
    with watching(manifest.open_trials) as progress:
        done = resume_run(folder, progress=progress, scheduler=given["scheduler"], charts=charts and not is_sweep)
        if charts and is_sweep:
            progress.say("drawing the charts")
            done = draw_sweep(done)
    if given["as_json"]:
        echo(json.dumps(done.to_json()))
    elif is_sweep:
        print_sweep(done)
    else:
        print_run(done)
    if done.unwritten:
        echo(f"coldstart: {done.unwritten}", err=True)
    found = failing(conditions, manifest.planned_trials(), done.summaries)
    for line in found.lines:
        echo(f"coldstart: {line}", err=True)
    return found.exit_status_after(done.exit_status)
