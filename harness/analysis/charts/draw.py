"""Draws every chart for which a run, or a comparison of runs, has data."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from harness.analysis.beside import Beside, only_two
from harness.analysis.charts.beside import beside_chart
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
"""The charts with a line or a panel for each configuration, by the beginning of their names."""
OF_A_SEED = ("held", "requests", "pool", "beside")
"""The charts that show the first seed only."""
DARK = "dark"
"""The folder of the charts for dark pages, beside the others."""


def draw_charts(run: Run, folder: Path) -> list[Path]:
    """Draw the run's charts into `folder`, and those for dark pages into `folder/dark`; return the files written."""
    comparison = compare([run])
    light = save(figures(run, comparison), folder)
    return light + save(figures(run, comparison, style=DARK), folder / DARK)


def draw_comparison(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw the charts that compare several runs, for light and for dark pages; return the files written.

    Of a single run of two configurations they have both in one picture.
    """
    comparison = compare(runs)
    light = save(comparison_figures(runs, comparison), folder)
    drawn = light + save(comparison_figures(runs, comparison, style=DARK), folder / DARK)
    return drawn + draw_beside(only_two(runs[0]), folder) if len(runs) == 1 else drawn


def draw_beside(pairs: Sequence[Beside], folder: Path) -> list[Path]:
    """Draw two configurations in one picture a wake, for light and for dark pages; return the files written."""
    if not pairs:
        return []
    light = save(beside_figures(pairs), folder)
    return light + save(beside_figures(pairs, style=DARK), folder / DARK)


def beside_figures(pairs: Sequence[Beside], *, style: str = "light") -> Iterator[tuple[str, Figure]]:
    """Two configurations in one picture, for each wake, with its name."""
    charts = ((f"beside-{in_a_name(two.before[0].trial.wake_label)}", beside_chart(two)) for two in pairs)
    return styled(charts, style, [pairs[0].run])


def figures(
    run: Run, comparison: Comparison, *, style: str = "light", wakes: Collection[str] | None = None
) -> Iterator[tuple[str, Figure]]:
    """Every chart of the run, with its name. Save each figure before you ask for the next one.

    With `wakes`, by their labels, only these have charts of their own.
    """
    return styled(_of_a_run(run, comparison, wakes), style, [run])


def comparison_figures(
    runs: Sequence[Run], comparison: Comparison, *, style: str = "light"
) -> Iterator[tuple[str, Figure]]:
    """The charts that compare several runs, with their names."""
    return styled(_of_a_comparison(runs, comparison), style, runs)


def styled(
    charts: Iterable[tuple[str, Figure]], style: str = "light", runs: Sequence[Run] = ()
) -> Iterator[tuple[str, Figure]]:
    """Each chart with a note about the runs; this project's style holds until the next chart is asked for."""
    with matplotlib.style.context(STYLES[style]):
        for name, figure in charts:
            about = notes(runs, lines=name.startswith(OF_LINES), first_seed=name.startswith(OF_A_SEED)) if runs else ()
            if note := " ".join(about):
                set_note(figure, note)
            yield name, figure


def _of_a_run(run: Run, comparison: Comparison, wakes: Collection[str] | None) -> Iterator[tuple[str, Figure]]:
    woken = [summary for summary in run.summaries if not summary.trial.is_control]
    if not woken:
        return
    drawn = [summary for summary in woken if wakes is None or summary.trial.wake_label in wakes]
    yield "outcomes", outcomes_chart(run, drawn or woken)
    yield from _of_a_comparison([run], comparison)
    seed = min(summary.trial.seed for summary in woken)
    configurations = shown(run)
    first_seed = [
        summary for summary in woken if summary.trial.seed == seed and summary.trial.configuration in configurations
    ]
    for wake in dict.fromkeys(summary.trial.wake_label for summary in first_seed):
        if wakes is not None and wake not in wakes:
            continue
        summaries = [summary for summary in first_seed if summary.trial.wake_label == wake]
        yield f"requests-{in_a_name(wake)}", requests_chart(run, summaries)
        if seen := [summary for summary in summaries if summary.saw_the_pool]:
            yield f"pool-{in_a_name(wake)}", pool_chart(run, seen)


def in_a_name(wake: str) -> str:
    """A wake's label as part of a file name: `wake-12s`."""
    return wake.replace(" s", "s").replace(", ", "-").replace(" ", "-")


def _of_a_comparison(runs: Sequence[Run], comparison: Comparison) -> Iterator[tuple[str, Figure]]:
    if all(line.is_control for line in comparison.lines):
        return
    names = run_names(runs)
    if worth_rates(comparison.lines):
        yield "rates", rates_chart(comparison.lines, names)
    if worth_grid(comparison.lines, names):
        yield "failures", grid_chart(comparison.lines, names)
    yield "latency", latency_chart(runs)
    if any(summary.saw_the_pool and not summary.trial.is_control for run in runs for summary in run.summaries):
        yield "held", held_chart(runs, comparison.lines)


def save(charts: Iterable[tuple[str, Figure]], folder: Path) -> list[Path]:
    """Write each chart as SVG and as PNG; return the files written."""
    written = []
    for name, figure in charts:
        folder.mkdir(parents=True, exist_ok=True)
        for form, metadata in METADATA.items():
            path = folder / f"{name}.{form}"
            figure.savefig(path, format=form, metadata=metadata)
            # The layout is computed once and kept for the next form.
            figure.set_layout_engine("none")
            written.append(path)
    return written
