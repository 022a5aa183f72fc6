"""`coldstart postmortem`: a draft in Markdown, with its charts beside it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from harness.model.errors import UserError

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("run", default="newest")
@click.option("--pool", "configuration", metavar="POOL", help="What was in production. [default: the run's first]")
@click.option(
    "--at", "began_at", metavar="UTC", help="When the real burst began, for the timeline: 2025-12-02T01:55:56Z."
)
@click.option(
    "--patience", "patience_s", type=float, metavar="SECONDS",
    help="An answer after so long counts as failed. [default: the client's timeout, but no more than 30]",
)  # fmt: skip
@click.option("--calibration", type=FILE, help="Times that coldstart calibrate measured, for what settings change.")
def postmortem(
    run: str, configuration: str | None, began_at: str | None, patience_s: float | None, calibration: Path | None
) -> None:
    """Write postmortem.md: a draft, with its charts. RUN is an id, a path, or newest."""
    from harness.analysis import load
    from harness.postmortem import NAME, write

    moment = None if began_at is None else _moment(began_at)
    path = write(
        load(run),
        configuration=configuration,
        began_at=moment,
        calibration=calibration,
        patience_s=patience_s,
        say=lambda line: click.echo(line, err=True),
    )
    assert path.name == NAME
    click.echo(path)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError("is no moment", where=f"--at {text}", allowed="2025-12-02T01:55:56Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
