"""What all charts use: figures, colours, the marks of a suspend and a wake, legends, names."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, assert_never

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.analysis.away import away
from harness.analysis.labels import Names
from harness.analysis.load import Run
from harness.analysis.measured import marked_trials
from harness.model.events import Event
from harness.model.outcomes import Outcome, Role
from harness.model.trial import Trial

WIDTH_IN = 3.5
TITLE_WIDTH = 52
NOTE_WIDTH = 84
NOTE_LINE_IN = 0.1
LABEL_WIDTH = 24
LEGEND_WIDTH = 30
LEGEND_LINE_IN = 0.13
PANEL_WIDTH = 52
MAX_MARKED = 3
MAX_POOLS = 8
"""More pools than this can't be distinguished on one chart."""
MANY = 2_000
MANY_ON_A_PAGE = 250
PAGE = "page"
"""The style of charts within a page; its colours are the page's."""

STYLES = {
    "light": [Path(__file__).parent / "coldstart.mplstyle"],
    "dark": [Path(__file__).parent / "coldstart.mplstyle", Path(__file__).parent / "dark.mplstyle"],
    PAGE: [Path(__file__).parent / "coldstart.mplstyle", Path(__file__).parent / "page.mplstyle"],
}

# Okabe and Ito's colours, which colour-blind readers can distinguish (https://jfly.uni-koeln.de/color/).
# Their black is replaced by the text colour, so that it is visible on a dark page too.
INK = "ink"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK, "#999999")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (7, 2)), (0, (3, 1, 1, 1)))

LineStyle: TypeAlias = "str | tuple[float, tuple[float, ...]]"


@dataclass(frozen=True, slots=True)
class Series:
    """One configuration of one run, as every chart shows it."""

    run: Run
    configuration: str
    name: str
    colour: str
    dashes: LineStyle


def many() -> int:
    """More marks than this are rasterized in an SVG: as separate shapes they would make it too large to open.

    On a page with many charts it is fewer.
    """
    return MANY_ON_A_PAGE if rcParams["savefig.facecolor"] == "none" else MANY


def ink() -> str:
    """The colour of the text on this page."""
    return str(rcParams["text.color"])


def mark() -> str:
    """The colour of marks and remarks beside the data."""
    return str(rcParams["xtick.labelcolor"])


def paper() -> str:
    """The colour of the page."""
    return str(rcParams["axes.facecolor"])


def shade() -> str:
    """The colour behind the data while the compute wakes."""
    return str(rcParams["hatch.color"])


def outcome_colour(outcome: Outcome) -> str:
    """The outcome's colour on this page."""
    match outcome.role:
        case Role.SERVED:
            return "#56b4e9"
        case Role.QUEUE:
            return "#d55e00"
        case Role.CONNECTING:
            return "#e69f00"
        case Role.REFUSED:
            return "#f0e442"
        case Role.STATEMENT:
            return "#cc79a7"
        case Role.CONNECTION:
            return "#009e73"
        case Role.CLIENT:
            return "#999999"
        case Role.OTHER:
            return ink()
        case _:
            assert_never(outcome.role)


def on_outcome_colour(outcome: Outcome) -> str:
    """The colour of a number written on the outcome's colour."""
    match outcome.role:
        case Role.OTHER:
            return paper()
        case Role.QUEUE | Role.CONNECTION:
            return "white"
        case _:
            return "black"


def line_style(number: int) -> tuple[str, LineStyle]:
    """The colour and dashes of a line by its number; the first 64 are all different."""
    colour = COLOURS[number % len(COLOURS)]
    return ink() if colour == INK else colour, DASHES[(number + number // len(COLOURS)) % len(DASHES)]


def all_series(runs: Sequence[Run]) -> list[Series]:
    """The configurations that a chart has room for; with several runs, the name begins with the run's."""
    names = Names.of(trial for run in runs for trial in run.trials)
    names_of_runs = run_names(runs)
    series: list[Series] = []
    for run in runs:
        for configuration in shown(run, MAX_POOLS // len(runs) or 1):
            name = ": ".join(filter(None, [names_of_runs[run.folder.name], names[configuration]]))
            series.append(Series(run, configuration, name, *line_style(len(series))))
    return series


def shown(run: Run, most: int = MAX_POOLS) -> list[str]:
    """At most `most` configurations, in the run's order, chosen evenly from the fewest failures to the most."""
    configurations = list(dict.fromkeys(trial.configuration for trial in run.trials))
    if len(configurations) <= most:
        return configurations
    failed = dict.fromkeys(configurations, 0)
    for summary in run.summaries:
        failed[summary.trial.configuration] += summary.failed
    ranked = sorted(configurations, key=lambda name: failed[name])
    chosen = {ranked[round(position * (len(configurations) - 1) / max(1, most - 1))] for position in range(most)}
    return [name for name in configurations if name in chosen]


def run_names(runs: Sequence[Run]) -> dict[str, str]:
    """A short name for each run, by its id: the stack, the scenario or the end of the id; empty for a single run."""
    ids = [run.folder.name for run in runs]
    if len(runs) == 1:
        return {ids[0]: ""}
    for distinguishing in ([run.manifest.stack for run in runs], [run.scenario.name for run in runs]):
        if len(set(distinguishing)) == len(runs):
            return dict(zip(ids, distinguishing, strict=True))
    return {id_: id_.rpartition("-")[2] for id_ in ids}


def stacked_panels(
    count: int, *, title: str, panel_in: float, share_x: bool = True, share_y: bool = True, foot_in: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels below each other; `foot_in` is extra height for the legend, in inches."""
    figure = Figure(figsize=(WIDTH_IN, 0.75 + panel_in * count + foot_in))
    axes = figure.subplots(count, 1, sharex=share_x, sharey=share_y, squeeze=False)[:, 0]
    set_title(figure, title)
    return figure, list(axes)


def set_title(figure: Figure, title: str) -> None:
    """A title that says what the chart shows, wrapped to the figure's width."""
    figure.suptitle(textwrap.fill(title, TITLE_WIDTH), x=0.01, ha="left")


def set_note(figure: Figure, note: str) -> None:
    """Set a note about the whole chart in small print, as the legend's title: there the layout leaves room for it."""
    legend: Legend = figure.legends[0]
    said = legend.get_title().get_text()
    text = textwrap.fill(note, NOTE_WIDTH)
    legend.set_title(
        "\n".join(filter(None, [said, text])), prop=FontProperties(size=rcParams["legend.fontsize"] - 0.5)
    )  # fmt: skip
    legend.set_alignment("left")
    legend.get_title().set_color(mark())
    width_in, height_in = figure.get_size_inches()
    figure.set_size_inches(width_in, height_in + NOTE_LINE_IN * (1.5 + text.count("\n")))


def named(run: Run, configuration: str, *, width: int = LABEL_WIDTH) -> str:
    """A configuration's name on a chart, wrapped to `width`."""
    return textwrap.fill(Names.of(run.trials)[configuration], width)


def notes(runs: Sequence[Run], *, lines: bool, first_seed: bool) -> Iterator[str]:
    """Sentences about whole runs, for the note of a chart.

    `lines`: the chart has a line or a panel for each configuration; `first_seed`: it shows the first seed only.
    """
    names = Names.of(trial for run in runs for trial in run.trials)
    if common := names.note():
        yield common
    if meanings := names.meanings():
        yield f"{'; '.join(meanings)}."
    for run in runs:
        if marked := marked_trials(run.summaries, names, most=MAX_MARKED):
            yield f"No measurement (!): {marked}."
    for shortened in dict.fromkeys(run.plan.shortened for run in runs):
        if shortened:
            yield f"Shortened for real time: {shortened}."
    every = sum(len({trial.configuration for trial in run.trials}) for run in runs)
    if lines and every > MAX_POOLS:
        yield f"Shown: {len(all_series(runs))} of {every} configurations, from the fewest failures to the most."
    seeds = max(len({trial.seed for trial in run.trials}) for run in runs)
    if first_seed and seeds > 1:
        yield f"Shown: the first of {seeds} seeds."


def capitalised(words: str) -> str:
    """With a capital first letter; the others stay as they are."""
    return words[:1].upper() + words[1:]


WORD_SHARE = 0.14
"""Of a panel's width: what `suspend` takes, and a little more."""


def mark_wake(axes: Axes, run: Run, trial: Trial, *, label: str | None) -> None:
    """Shade the wake from the first attempt to the answer, and mark where the compute had suspended.

    `label` is where both are named in words, `top` or `bottom` of the panel; None: nowhere.
    """
    events = run.of(trial, "events")
    at_s = {name: events.loc[events["event"] == name, "at_s"].tolist() for name in events["event"].unique()}
    in_order = events.sort_values("at_s", kind="stable")
    periods = away(zip(in_order["event"], in_order["at_s"], strict=True))
    first_s, last_s = events["at_s"].min(), events["at_s"].max()
    word_s = WORD_SHARE * (last_s - first_s)
    for period in periods:
        until_s = last_s if period.ended_s is None else period.ended_s
        axes.axvspan(period.began_s, until_s, color=shade(), zorder=0, linewidth=0)
        if period.ended_s is None:
            # The trial ended before.
            continue
        axes.axvline(period.ended_s, color=mark(), linewidth=0.6, linestyle=":")
        if label:
            _say(axes, period.ended_s, "wake " if period.is_wake else "back ", side="right", at=label)
    for suspended_s in at_s.get(Event.SUSPENDED, []):
        axes.axvline(suspended_s, color=mark(), linewidth=0.6)
        is_narrow = any(suspended_s <= (period.ended_s or last_s) < suspended_s + 2 * word_s for period in periods)
        if label and not is_narrow:
            _say(axes, suspended_s, " suspend", side="left", at=label)
        elif label and suspended_s - first_s > word_s:
            # Between the two lines there is no room for both words.
            _say(axes, suspended_s, "suspend ", side="right", at=label)


def outcome_legend(figure: Figure, outcomes: Iterable[Outcome]) -> None:
    """Add a legend of the outcomes that occur, below the figure."""
    present = set(outcomes)
    patches = [Patch(color=outcome_colour(outcome), label=outcome.value) for outcome in Outcome if outcome in present]
    figure.legend(handles=patches, loc="outside lower left", ncols=min(4, len(patches)))


def in_lines(names: Iterable[str]) -> tuple[list[str], float]:
    """The names, wrapped for a legend of two columns, and the extra height in inches that it needs beyond two lines."""
    wrapped = [textwrap.fill(name, LEGEND_WIDTH) for name in names]
    return wrapped, LEGEND_LINE_IN * max(0.0, sum(1 + name.count("\n") for name in wrapped) / 2 - 2)


def line_legend(figure: Figure, panels: Sequence[Axes], *, ncols: int = 2) -> None:
    """Add a legend below the figure, with the lines of the panel that has the most."""
    handles, labels = max((panel.get_legend_handles_labels() for panel in panels), key=lambda found: len(found[0]))
    # Dashes need length to be distinguished; a legend of four columns shows areas.
    length = 2.5 if ncols == 2 else None
    figure.legend(handles, labels, loc="outside lower left", ncols=ncols, labelcolor=mark(), handlelength=length)


def series_legend(figure: Figure, drawn: Sequence[Series], names: Sequence[str]) -> None:
    """Add a legend below the figure, with a line for each of these series."""
    handles = [
        Line2D([], [], color=series.colour, linestyle=series.dashes, label=name)  # type: ignore[arg-type]  # any of DASHES
        for series, name in zip(drawn, names, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, labelcolor=mark(), handlelength=2.5)


def panel_title(heading: str, remark: str) -> str:
    """A panel's title with a remark, wrapped to the panel's width."""
    return textwrap.fill(f"{heading}; {remark}" if remark else heading, PANEL_WIDTH)


def _say(axes: Axes, at_s: float, text: str, *, side: str, at: str) -> None:
    height = 0.98 if at == "top" else 0.03
    axes.text(at_s, height, text, transform=axes.get_xaxis_transform(), ha=side, va=at, fontsize=6, color=mark())
