"""The charts of a run and of a comparison, one file each, as a postmortem can use them: half a page wide, twice."""

from harness.analysis.charts.draw import draw_charts, draw_comparison

__all__ = ["draw_charts", "draw_comparison"]
