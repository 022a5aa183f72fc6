"""Charts as parts of an HTML page: SVG without what a page has already, in the page's own colours.

One drawing serves light and dark screens and paper: where a chart is drawn in the style `page`, its colours for text,
lines and shade become the page's CSS variables. matplotlib writes a style beside each mark, an element a dot, and
six digits a number; here the same styles are written once, as classes, dots are one path, and numbers have two digits.
"""

import io
import re
from html import escape

from matplotlib.figure import Figure

COLOURS = {
    "#818283": "var(--ink)", "#f1f2f3": "var(--paper)", "#616263": "var(--soft)", "#717273": "var(--edge)",
    "#e1e2e3": "var(--grid)", "#d1d2d3": "var(--wake)",
}  # fmt: skip
"""The colours of charts/page.mplstyle, and what each is on the page."""
DPI = 200
"""Of the parts that are rasterized."""
DRAWING = re.compile(r"<svg\b.*</svg>", re.DOTALL)
LEFT_OUT = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d{3,}(?![\w.])")
STYLE = re.compile(r'style="([^"]*)"')
ID = re.compile(r' id="([^"]*)"')
USED = re.compile(r"#([\w-]+)")
PATH = re.compile(r' d="([^"]*)"')
POINT = re.compile(r"([ML]) (\S+) (\S+)\s*")
"""A point of a path that has only straight lines."""
DOTS = re.compile(r'(?:<use xlink:href="(#\w+)" x="[^"]*" y="[^"]*" class="(\w+)"/>){20,}')
DOT = re.compile(r' x="([^"]*)" y="([^"]*)"')
DOT_WIDTH = 1.8
"""Of the marker `.` at a size of 1.6, in points: its circle and the edge around that."""
BETWEEN = re.compile(r">\s*\n\s*<")


class Inline:
    """The charts of one page. Ask for `css` when all are drawn."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def svg(self, figure: Figure, title: str) -> str:
        """The figure as an element of the page; `title` is what somebody is told who can't see it."""
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None}, dpi=DPI)
        found = DRAWING.search(drawn.getvalue().decode())
        assert found is not None, "matplotlib wrote no svg"
        text = LEFT_OUT.sub("", found[0])
        used = set(USED.findall(text))
        text = ID.sub(lambda id_: id_[0] if id_[1] in used else "", text)
        text = STYLE.sub(lambda style: f'class="{self._class(style[1])}"', text)
        text = BETWEEN.sub("><", NUMBER.sub(lambda number: _short(number[0]), text))
        text = PATH.sub(lambda path: f' d="{_path(path[1])}"', DOTS.sub(_dots, text))
        return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)

    def css(self) -> str:
        """The rules of the charts' classes."""
        rules = [f".{name}{{{style}}}" for style, name in self._classes.items()]
        base = "figure svg *{stroke-linejoin:round;stroke-linecap:butt}"
        return "\n".join([base, *rules, f".dot{{stroke-width:{DOT_WIDTH};stroke-linecap:round}}"])

    def _class(self, style: str) -> str:
        for drawn, on_the_page in COLOURS.items():
            style = style.replace(drawn, on_the_page)
        return self._classes.setdefault(style, f"c{len(self._classes)}")


def _short(number: str) -> str:
    return f"{float(number):.2f}".rstrip("0").rstrip(".")


def _dots(uses: re.Match[str]) -> str:
    """Many of one marker as one path: a line of no length with round ends is a dot."""
    marks = "".join(f"M{x} {y}h0" for x, y in DOT.findall(uses[0]))
    return f'<path class="{uses[2]} dot" d="{marks}"/>'


def _path(data: str) -> str:
    """The same path in fewer letters; one that has anything but straight lines stays as it is."""
    closed = data.rstrip().endswith("z")
    straight = data.rstrip().removesuffix("z")
    points = POINT.findall(straight)
    if not points or POINT.sub("", straight).strip():
        return data
    written: list[str] = []
    at = ("", "")
    for command, x, y in points:
        if command == "M":
            written.append(f"M{x} {y}")
        elif (x, y) != at:
            written.append(f"V{y}" if x == at[0] else f"H{x}" if y == at[1] else f"L{x} {y}")
        at = (x, y)
    return "".join(written) + ("z" if closed else "")
