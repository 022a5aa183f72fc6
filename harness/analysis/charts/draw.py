"""Draws every chart that a run has data for."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from harness.analysis.charts.latency import latency_chart
from harness.analysis.charts.outcomes import outcomes_chart
from harness.analysis.charts.paper import notes, set_note
from harness.analysis.charts.pool import pool_chart
from harness.analysis.charts.requests import requests_chart
from harness.analysis.load import Run

STYLE = Path(__file__).parent / "coldstart.mplstyle"
# Without a date in it, the same run gives the same file.
METADATA = {"svg": {"Date": None}, "png": {"Software": None}}


def draw_charts(run: Run, folder: Path) -> list[Path]:
    """Draw the run's charts into `folder`; the files written, none for a run without requests."""
    written = []
    for name, figure in figures(run):
        folder.mkdir(parents=True, exist_ok=True)
        for form, metadata in METADATA.items():
            path = folder / f"{name}.{form}"
            figure.savefig(path, format=form, metadata=metadata)
            written.append(path)
    return written


def figures(run: Run) -> Iterator[tuple[str, Figure]]:
    """Every chart of the run by its name, in this project's style, to be saved before the next is asked for."""
    with matplotlib.style.context(STYLE):
        for name, figure in _charts(run):
            if said := notes(run):
                set_note(figure, " ".join(said))
            yield name, figure


def _charts(run: Run) -> Iterator[tuple[str, Figure]]:
    woken = [one for one in run.summaries if not one.trial.is_control]
    if not woken:
        return
    yield "outcomes", outcomes_chart(run, woken)
    yield "latency", latency_chart(run)
    seed = min(one.trial.seed for one in woken)
    for wake in dict.fromkeys(one.trial.wake_label for one in woken if one.trial.seed == seed):
        met = [one for one in woken if one.trial.wake_label == wake and one.trial.seed == seed]
        name = wake.replace(" s", "s").replace(", ", "-").replace(" ", "-")
        yield f"requests-{name}", requests_chart(run, met)
        yield f"pool-{name}", pool_chart(run, met)
