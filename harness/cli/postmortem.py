"""`coldstart postmortem`: a draft in Markdown, with its charts beside it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from harness.cli.terminal import echo
from harness.model.errors import UserError

FIRST_YEAR, LAST_YEAR = 1970, 9000
MOMENT_ALLOWED = "a moment such as 2025-12-02T01:55:56Z"
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("run", default="newest")
@click.option("--pool", "configuration", metavar="POOL", help="What was in production. [default: the run's first]")
@click.option(
    "--at", "began_at", metavar="UTC", help="When the real burst began, for the timeline: 2025-12-02T01:55:56Z."
)
@click.option(
    "--patience", "patience_s", type=float, metavar="SECONDS",
    help="An answer after so long counts as failed. [default: the story's, else the client's timeout up to 30]",
)  # fmt: skip
@click.option("--calibration", type=FILE, help="Times that coldstart calibrate measured, for what settings change.")
@click.option("--recording", type=FILE, help="What answers your own application, for the same.  [default: the run's]")
def postmortem(
    run: str,
    configuration: str | None,
    began_at: str | None,
    patience_s: float | None,
    calibration: Path | None,
    recording: Path | None,
) -> None:
    """Write postmortem.md: a draft, with its charts. RUN is an id, a path, or newest."""
    from harness.analysis import load
    from harness.postmortem import NAME, write
    from harness.results.disk import writing

    moment = None if began_at is None else _moment(began_at)
    loaded = load(run)
    with writing(loaded.folder):
        path = write(
            loaded,
            configuration=configuration,
            began_at=moment,
            calibration=calibration,
            recording=recording,
            patience_s=patience_s,
            say=lambda line: echo(line, err=True),
        )
    assert path.name == NAME
    echo(path)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError("is no moment", where=f"--at {text}", allowed=MOMENT_ALLOWED) from None
    # The timeline adds up to the length of a story to this moment; the sum must stay a valid date.
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        allowed = f"{MOMENT_ALLOWED}, from {FIRST_YEAR} to {LAST_YEAR}"
        raise UserError("is out of range", where=f"--at {text}", allowed=allowed)
    return moment
