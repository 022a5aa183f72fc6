"""The charts of a run, one file each, as a postmortem can use them: SVG and PNG at half a page's width."""

from harness.analysis.charts.draw import draw_charts

__all__ = ["draw_charts"]
