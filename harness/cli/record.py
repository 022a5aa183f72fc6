"""`coldstart record`: an application's statements and their answers, for virtual time."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from harness.cli.options import FILE, RECORDED, with_options
from harness.cli.questions import RECORDING_FILE, application_of, read_settings
from harness.cli.terminal import echo
from harness.model.pool import PoolConfiguration
from harness.processes.cancelling import run_async

TIMES = 20
MOST_TIMES = 10_000


@click.command()
@with_options(RECORDED)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of its pool, driver=psycopg say; repeatable.",
)
@click.option(
    "--times",
    type=click.IntRange(1, MOST_TIMES),
    default=TIMES,
    show_default=True,
    help="How often each request is asked.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="Then listen so long to what it does by itself.  [default: 0]",
)
@click.option("--without-values", is_flag=True, help="Put a neutral value in place of every parameter and row's value.")
@click.option("--out", type=FILE, help="The file.  [default: recording.jsonl, beside the application]")
def record(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Record what your application says to PostgreSQL, so that it can be played in virtual time.

    It runs on an embedded PostgreSQL of its own. The recording holds the rows that were read: treat it as data.
    """
    from harness.application.starting import check_application
    from harness.processes.beside import first_of
    from harness.recording import without_values, write
    from harness.stacks.recording import record as recorded_by

    application = application_of(given)
    if application is None:
        raise click.UsageError("Missing option '--app'.")
    check_application(application)
    pool = PoolConfiguration().with_settings(read_settings(given["settings"]))
    out: Path = given["out"] or Path(application.folder) / RECORDING_FILE
    logs = Path(tempfile.mkdtemp(prefix="coldstart-record-"))
    # Kept when something fails: the message names the log.
    try:
        recording = run_async(
            recorded_by(
                application,
                pool,
                times=given["times"],
                wait_s=given["wait_s"],
                logs=logs,
                say=lambda line: echo(line, err=True),
            )
        )
    except BaseExceptionGroup as group:
        raise first_of(group) from None
    except KeyboardInterrupt:
        shutil.rmtree(logs)
        raise
    shutil.rmtree(logs)
    if given["without_values"]:
        recording = without_values(recording)
    write(recording, out)
    statements, answers = len(recording.statements), sum(len(one.answers) for one in recording.statements)
    echo(f"{out}: {statements} statements with {answers} answers, {out.stat().st_size / 1024:.0f} KB")
    for note in recording.notes:
        echo(f"• {note}")
    return 0
