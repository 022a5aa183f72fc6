"""The chart of what each setting would have changed: how many requests fail with each of them, a bar a change."""

import textwrap
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.analysis.charts.paper import ink, mark, outcome_colour, stacked_panels
from harness.model.outcomes import Outcome
from harness.postmortem.changes import AWAKE, Change, Changes

BAR_IN = 0.17
NAME_WIDTH = 29
ROOM = 1.25
"""Of the axis, for the numbers at the ends of the bars."""


def changes_chart(found: Changes) -> Iterator[tuple[str, Figure]]:
    """One chart, `settings`: the failures as it was and with each change that makes any difference, fewest on top."""
    ordered = sorted((one for one in found.tried if not one.is_none), key=lambda one: one.failed / one.requests)
    bars = [found.again, *ordered]
    names = [textwrap.fill(one.what, NAME_WIDTH) for one in bars]
    lines = sum(1 + 0.6 * name.count("\n") for name in names)
    figure, (panel,) = stacked_panels(1, title=_title(found, ordered), panel_in=0.5 + BAR_IN * lines)
    kinds = {"as it was": ink(), "better": outcome_colour(Outcome.OK), "worse": outcome_colour(Outcome.POOL_TIMEOUT),
             "can be chance": mark()}  # fmt: skip
    for row, one in enumerate(bars):
        share = one.failed / one.requests
        panel.barh(row, share, height=0.7, color=kinds[_kind(found, one)])
        panel.text(share, row, f" {one.failed}", va="center", fontsize=6)
    panel.set_yticks(range(len(bars)), names)
    panel.set_ylim(len(bars) - 0.5, -0.5)
    panel.set_xlim(0, ROOM * max(0.01, *(one.failed / one.requests for one in bars), 0.0))
    panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    panel.grid(visible=False, axis="y")
    panel.set_xlabel(f"share of {found.again.requests} requests that fail")
    occurred = {_kind(found, one) for one in bars}
    patches = [Patch(color=colour, label=name) for name, colour in kinds.items() if name in occurred]
    figure.legend(handles=patches, loc="outside lower left", ncols=len(patches))
    yield "settings", figure


def _kind(found: Changes, one: Change) -> str:
    if one is found.again:
        return one.what
    return "can be chance" if not one.is_one else "better" if one.helps else "worse"


def _title(found: Changes, ordered: Sequence[Change]) -> str:
    helping = [one for one in ordered if one.helps and one.what != AWAKE]
    if not found.again.failed:
        return "Nothing fails as it was"
    if not helping:
        return f"No setting alone saves any of the {found.again.failed} requests"
    best = helping[0]
    return f"{best.what} saves the most: {best.saved} of {found.again.failed}"
