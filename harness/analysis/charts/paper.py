"""What the charts share: figures, colours, the marks of a suspend and a wake, legends."""

import textwrap
from collections.abc import Iterable
from itertools import zip_longest

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.analysis.labels import in_common, without
from harness.analysis.load import Run
from harness.outcomes import Outcome
from harness.trial import Trial

WIDTH_IN = 3.5
TITLE_WIDTH = 52
NOTE_WIDTH = 84
LABEL_WIDTH = 24
PANEL_WIDTH = 52
WAKE_COLOUR = "#eeeeee"
MARK_COLOUR = "#555555"

# Okabe and Ito's colours, which stay apart for colour-blind readers (https://jfly.uni-koeln.de/color/).
OUTCOME_COLOURS = {
    Outcome.OK: "#56b4e9",
    Outcome.POOL_TIMEOUT: "#d55e00",
    Outcome.CONNECT_TIMEOUT: "#e69f00",
    Outcome.CONNECT_ERROR: "#f0e442",
    Outcome.STATEMENT_TIMEOUT: "#cc79a7",
    Outcome.CONNECTION_LOST: "#009e73",
    Outcome.CLIENT_TIMEOUT: "#999999",
    Outcome.ERROR: "#000000",
}
POOL_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
POOL_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (7, 2)), (0, (3, 1, 1, 1)))


def stacked_panels(
    count: int, *, title: str, panel_in: float, share_x: bool = True, foot_in: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels one below the other, on one vertical scale; `foot_in` is more room at its foot."""
    figure = Figure(figsize=(WIDTH_IN, 0.75 + panel_in * count + foot_in))
    axes = figure.subplots(count, 1, sharex=share_x, sharey=True, squeeze=False)[:, 0]
    set_title(figure, title)
    return figure, list(axes)


def set_note(figure: Figure, note: str) -> None:
    """What a reader must know of the whole chart, in small print at its foot."""
    figure.text(0.01, -0.01, textwrap.fill(note, NOTE_WIDTH), ha="left", va="top", fontsize=6, color=MARK_COLOUR)


def set_title(figure: Figure, title: str) -> None:
    """A title that says what the chart shows, wrapped to the figure's width."""
    figure.suptitle(textwrap.fill(title, TITLE_WIDTH), x=0.01, ha="left")


def named(run: Run, configuration: str, *, width: int = LABEL_WIDTH) -> str:
    """A configuration's name on a chart: without what every pool of the run has in common, in lines."""
    common = in_common([trial.pool for trial in run.trials])
    return textwrap.fill(without(configuration, common), width)


def notes(run: Run) -> list[str]:
    """What holds for a whole run and is said once."""
    common = in_common([trial.pool for trial in run.trials])
    said = [f"Every pool: {', '.join(common)}."] if common else []
    return [*said, f"Shortened for real time: {run.scenario.shortened}."] if run.scenario.shortened else said


def capitalised(words: str) -> str:
    """With a capital at its beginning, and the rest as it is."""
    return words[:1].upper() + words[1:]


def mark_wake(axes: Axes, run: Run, trial: Trial, *, label: str | None) -> None:
    """Shade the wake from the first attempt to the answer, and mark where the compute had suspended.

    `label` says both in words, at the top or the bottom of the panel; None: not.
    """
    events = run.of(trial, "events")
    at_s = {name: events.loc[events["event"] == name, "at_s"].tolist() for name in events["event"].unique()}
    wakes = zip_longest(at_s.get("first_attempt", []), at_s.get("woken", []))
    for began_s, woke_s in wakes:
        if woke_s is None:
            # The trial ended before the wake did.
            axes.axvspan(began_s, events["at_s"].max(), color=WAKE_COLOUR, zorder=0, linewidth=0)
            continue
        axes.axvspan(began_s, woke_s, color=WAKE_COLOUR, zorder=0, linewidth=0)
        axes.axvline(woke_s, color=MARK_COLOUR, linewidth=0.6, linestyle=":")
        if label:
            _say(axes, woke_s, "wake ", side="right", at=label)
    for suspended_s in at_s.get("suspended", []):
        axes.axvline(suspended_s, color=MARK_COLOUR, linewidth=0.6)
        if label:
            _say(axes, suspended_s, " suspend", side="left", at=label)


def outcome_legend(figure: Figure, outcomes: Iterable[Outcome]) -> None:
    """The outcomes that occur, below the figure."""
    present = set(outcomes)
    patches = [Patch(color=OUTCOME_COLOURS[outcome], label=outcome.value) for outcome in Outcome if outcome in present]
    figure.legend(handles=patches, loc="outside lower left", ncols=min(4, len(patches)))


def _say(axes: Axes, at_s: float, text: str, *, side: str, at: str) -> None:
    height = 0.98 if at == "top" else 0.03
    axes.text(at_s, height, text, transform=axes.get_xaxis_transform(), ha=side, va=at, fontsize=6, color=MARK_COLOUR)
