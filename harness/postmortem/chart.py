"""The chart of the effect of each setting: a bar for each change, with the requests that fail."""

import textwrap
from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.analysis.charts.paper import ink, mark, outcome_colour, stacked_panels
from harness.analysis.sentences import MAX_IN_TITLE, listed, plural
from harness.model.outcomes import Outcome
from harness.model.patience import Patience
from harness.postmortem.changes import Change, Changes

BAR_IN = 0.17
NAME_WIDTH = 29
ROOM = 1.25
"""The axis is longer than the longest bar by this factor, for the numbers at the ends of the bars."""
AS_IT_WAS, BETTER, WORSE, DEPENDS = "as it was", "better", "worse", "depends on the arrivals"


def changes_chart(changes: Changes, patience: Patience) -> Iterator[tuple[str, Figure]]:
    """The chart `settings`: the failures as it was, then with each change that has an effect, fewest failures first."""
    ordered = sorted(
        (change for change in changes.tried if not change.changes_nothing), key=lambda change: change.failures.failed
    )
    bars = [changes.again, *ordered]
    names = [textwrap.fill(change.what, NAME_WIDTH) for change in bars]
    lines = sum(1 + 0.6 * name.count("\n") for name in names)
    figure, (panel,) = stacked_panels(1, title=_title(changes), panel_in=0.5 + BAR_IN * lines)
    colours = {AS_IT_WAS: ink(), BETTER: outcome_colour(Outcome.OK), WORSE: outcome_colour(Outcome.POOL_TIMEOUT),
               DEPENDS: mark()}  # fmt: skip
    kinds = [AS_IT_WAS, *map(_kind, ordered)]
    for row, (change, kind) in enumerate(zip(bars, kinds, strict=True)):
        panel.barh(row, change.failures.share, height=0.7, color=colours[kind])
        panel.text(change.failures.share, row, f" {change.failures.failed}", va="center", fontsize=6)
    panel.set_yticks(range(len(bars)), names)
    panel.set_ylim(len(bars) - 0.5, -0.5)
    panel.set_xlim(0, ROOM * max(0.01, *(change.failures.share for change in bars), 0.0))
    panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    panel.grid(visible=False, axis="y")
    panel.set_xlabel(f"share of {changes.again.failures.requests} requests not ok within {patience.seconds:g} s")
    patches = [Patch(color=colour, label=kind) for kind, colour in colours.items() if kind in kinds]
    figure.legend(handles=patches, loc="outside lower left", ncols=len(patches))
    yield "settings", figure


def _kind(change: Change) -> str:
    return BETTER if change.helps else WORSE if change.harms else DEPENDS


def _title(changes: Changes) -> str:
    failed = changes.again.failures.failed
    helping = changes.helping()
    if not failed:
        return "Nothing fails as it was"
    if not helping:
        return f"No setting alone helps: {plural(failed, 'request')} of {changes.again.failures.requests} fail"
    best = [change for change in helping if change.failures.failed == helping[0].failures.failed]
    left = best[0].failures.failed
    names = listed([change.what for change in best], most=MAX_IN_TITLE)
    remain = "no request fails" if not left else f"{left} fail"
    return f"{names}: {remain}, where {failed} of {changes.again.failures.requests} did"
