"""Draws every chart that a run, or a comparison of runs, has data for."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from harness.analysis.charts.grid import grid_chart, worth_grid
from harness.analysis.charts.held import held_chart
from harness.analysis.charts.latency import latency_chart
from harness.analysis.charts.outcomes import outcomes_chart
from harness.analysis.charts.paper import STYLES, notes, run_names, set_note, shown
from harness.analysis.charts.pool import pool_chart
from harness.analysis.charts.rates import rates_chart, worth_rates
from harness.analysis.charts.requests import requests_chart
from harness.analysis.compare import Comparison, compare
from harness.analysis.load import Run

# Without a date in it, the same run gives the same file.
METADATA = {"svg": {"Date": None}, "png": {"Software": None}}
OF_LINES = ("latency", "held", "requests", "pool")
"""The charts with a line or a panel a configuration."""
OF_A_SEED = ("held", "requests", "pool")
"""The charts that show the first seed only."""
DARK = "dark"
"""The folder of the charts for dark pages, beside the others."""


def draw_charts(run: Run, folder: Path) -> list[Path]:
    """Draw the run's charts into `folder`, and for dark pages beneath it; none for a run without requests."""
    found = compare([run])
    light = save(figures(run, found), folder)
    return light + save(figures(run, found, style=DARK), folder / DARK)


def draw_comparison(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw what can be seen of several runs side by side, in the same two ways."""
    found = compare(runs)
    light = save(comparison_figures(runs, found), folder)
    return light + save(comparison_figures(runs, found, style=DARK), folder / DARK)


def figures(run: Run, found: Comparison, *, style: str = "light") -> Iterator[tuple[str, Figure]]:
    """Every chart of the run by its name, to be saved before the next is asked for; `found` is its comparison."""
    return styled(_of_a_run(run, found), style, [run])


def comparison_figures(runs: Sequence[Run], found: Comparison, *, style: str = "light") -> Iterator[tuple[str, Figure]]:
    """The charts that several runs are put beside each other on."""
    return styled(_of_a_comparison(runs, found), style, runs)


def styled(
    charts: Iterable[tuple[str, Figure]], style: str = "light", runs: Sequence[Run] = ()
) -> Iterator[tuple[str, Figure]]:
    """Each chart in this project's style, as long as it is the one asked for, with what must be known of the runs."""
    with matplotlib.style.context(STYLES[style]):
        for name, figure in charts:
            about = notes(runs, lines=name.startswith(OF_LINES), first_seed=name.startswith(OF_A_SEED)) if runs else ()
            if note := " ".join(about):
                set_note(figure, note)
            yield name, figure


def _of_a_run(run: Run, found: Comparison) -> Iterator[tuple[str, Figure]]:
    woken = [one for one in run.summaries if not one.trial.is_control]
    if not woken:
        return
    yield "outcomes", outcomes_chart(run, woken)
    yield from _of_a_comparison([run], found)
    seed = min(one.trial.seed for one in woken)
    some = shown(run)
    first = [one for one in woken if one.trial.seed == seed and one.trial.configuration in some]
    for wake in dict.fromkeys(one.trial.wake_label for one in first):
        met = [one for one in first if one.trial.wake_label == wake]
        yield f"requests-{in_a_name(wake)}", requests_chart(run, met)
        yield f"pool-{in_a_name(wake)}", pool_chart(run, met)


def in_a_name(wake: str) -> str:
    """A wake's label as a part of a file's name: `wake-12s`."""
    return wake.replace(" s", "s").replace(", ", "-").replace(" ", "-")


def _of_a_comparison(runs: Sequence[Run], found: Comparison) -> Iterator[tuple[str, Figure]]:
    if all(line.is_control for line in found.lines):
        return
    names = run_names(runs)
    if worth_rates(found.lines):
        yield "rates", rates_chart(found.lines, names)
    if worth_grid(found.lines, names):
        yield "failures", grid_chart(found.lines, names)
    yield "latency", latency_chart(runs)
    yield "held", held_chart(runs, found.lines)


def save(charts: Iterable[tuple[str, Figure]], folder: Path) -> list[Path]:
    """Each chart in both forms; the files written."""
    written = []
    for name, figure in charts:
        folder.mkdir(parents=True, exist_ok=True)
        for form, metadata in METADATA.items():
            path = folder / f"{name}.{form}"
            figure.savefig(path, format=form, metadata=metadata)
            # Laid out once, it need not be for the next form.
            figure.set_layout_engine("none")
            written.append(path)
    return written
