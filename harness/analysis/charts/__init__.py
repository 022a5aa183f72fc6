"""The charts of a run and of a comparison, half a page wide, as SVG and as PNG; one module for each chart."""

from harness.analysis.charts.draw import draw_beside, draw_charts, draw_comparison

__all__ = ["draw_beside", "draw_charts", "draw_comparison"]
