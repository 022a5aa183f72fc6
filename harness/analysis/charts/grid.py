"""Failures over pool_size × max_overflow, a panel for each wake: for runs whose pools form a grid."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from harness.analysis.charts.paper import capitalised, ink, outcome_colour, stacked_panels
from harness.analysis.charts.rates import kinds
from harness.analysis.compare import Line
from harness.analysis.labels import Names
from harness.analysis.lines import capacities_of, failures_of
from harness.analysis.sentences import met_all, percent, who_fails
from harness.model.outcomes import Outcome

FILLED = 0.5
"""At least this share of the grid's cells must have been run."""
ROW_IN = 0.2
DARK = 0.6
"""Above this share of the colour scale a cell's number is white."""


def worth_grid(lines: Sequence[Line], runs: Mapping[str, str]) -> bool:
    """Whether there is a grid of at least two values of pool_size and two of max_overflow."""
    return any(True for _ in _grids(lines, runs))


def grid_chart(lines: Sequence[Line], runs: Mapping[str, str]) -> Figure:
    """The share of the requests that fail, in each cell; a cell that was not run stays empty."""
    grids = list(_grids(lines, runs))
    rows = max(len(_sizes(grid)[0]) for _, grid in grids)
    figure, panels = stacked_panels(
        len(grids),
        title=_title(grids, Names.of(lines)),
        panel_in=0.5 + ROW_IN * rows,
        share_x=False,
        share_y=False,
    )
    # From nothing to all of the colour, so that it fits any page.
    colour = to_rgb(outcome_colour(Outcome.POOL_TIMEOUT))
    scale = LinearSegmentedColormap.from_list("failures", [(*colour, 0.0), (*colour, 1.0)])
    most = max(line.failures.value for _, grid in grids for line in grid) or 1.0
    for panel, (name, grid) in zip(panels, grids, strict=True):
        sizes, overflows = _sizes(grid)
        shares = np.full((len(sizes), len(overflows)), np.nan)
        for line in grid:
            place = sizes.index(line.pool.pool_size), overflows.index(line.pool.max_overflow)
            shares[place] = line.failures.value
            on_it = "white" if line.failures.value > DARK * most else ink()
            panel.text(*place[::-1], _percent(line.failures.value), ha="center", va="center", fontsize=6, color=on_it)
        panel.imshow(shares, cmap=scale, vmin=0, vmax=most, aspect="auto", origin="lower")
        panel.set_yticks(range(len(sizes)), [str(size) for size in sizes])
        panel.set_xticks(range(len(overflows)), [str(overflow) for overflow in overflows])
        panel.set_ylabel("pool_size")
        panel.grid(visible=False)
        panel.set_title(name, color=ink())
    panels[-1].set_xlabel("max_overflow (each cell: the share of the requests that fail)")
    figure.legend(handles=[], loc="outside lower left")
    return figure


def _grids(lines: Sequence[Line], runs: Mapping[str, str]) -> Iterator[tuple[str, list[Line]]]:
    for name, grid in kinds([line for line in lines if not line.is_control], runs):
        sizes, overflows = _sizes(grid)
        if min(len(sizes), len(overflows)) > 1 and len(grid) >= FILLED * len(sizes) * len(overflows):
            yield name, grid


def _sizes(lines: Sequence[Line]) -> tuple[list[int], list[int]]:
    return sorted({line.pool.pool_size for line in lines}), sorted({line.pool.max_overflow for line in lines})


def _percent(share: float) -> str:
    return "0" if share == 0 else percent(share) if share < 0.0995 else f"{share:.0%}"


def _title(grids: Sequence[tuple[str, list[Line]]], names: Names) -> str:
    lines = [line for _, grid in grids for line in grid]
    return capitalised(who_fails(met_all(failures_of(lines, names)), capacities_of(lines, names), title=True))
