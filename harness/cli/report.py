"""`coldstart report`: a run as one self-contained HTML file."""

import click

from harness.cli.terminal import echo


@click.command()
@click.argument("run", default="newest")
def report(run: str) -> None:
    """Write report.html: all of RUN in one file. RUN is an id, a path, or newest."""
    from harness.analysis import load
    from harness.analysis.report import NAME
    from harness.analysis.report import report as page
    from harness.results.disk import writing

    loaded = load(run)
    path = loaded.folder / NAME
    content = page(loaded)
    with writing(path):
        path.write_text(content, encoding="utf-8")
    echo(path)
