"""Curves that coincide are drawn as one, and said to be so: the last of five would hide the other four."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from harness.analysis.charts.paper import Series
from harness.analysis.sentences import listed

Curve: TypeAlias = tuple[np.ndarray, np.ndarray]
"""A line of steps: where it changes, in ascending order, and what it is from there on."""
POINTS = 400
HEIGHT = 0.02
"""Curves no further apart than this share of the panel's height, a line's width, can't be told apart …"""
PLACES = 0.97
"""… where that is so at this share of its width."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Together:
    """The numbers of the series whose curves coincide in a panel, the one that is drawn first."""

    members: tuple[int, ...]
    exactly: bool

    def __str__(self) -> str:
        return "the same" if self.exactly else "alike"


def together(curves: Mapping[int, Curve]) -> list[Together]:
    """The groups of curves that coincide in one panel; a curve that is like no other is a group of its own."""
    if not curves:
        return []
    first = min(float(x[0]) for x, _ in curves.values() if len(x))
    last = max(float(x[-1]) for x, _ in curves.values() if len(x))
    height = max((float(y.max()) for _, y in curves.values() if len(y)), default=0.0) or 1.0
    at = np.linspace(first, last, POINTS)
    sampled = {number: _sampled(curve, at) for number, curve in curves.items()}
    groups: list[list[int]] = []
    for number in curves:
        for group in groups:
            near = np.abs(sampled[number] - sampled[group[0]]) <= HEIGHT * height
            if near.mean() >= PLACES:
                group.append(number)
                break
        else:
            groups.append([number])
    return [
        Together(tuple(group), all(_equal(curves[group[0]], curves[number]) for number in group)) for group in groups
    ]


def legend(series: Sequence[Series], panels: Sequence[Sequence[Together]]) -> dict[int, str]:
    """The series with a line somewhere, and what the legend calls each: `5+0 and 10+5: the same` where always so."""
    always = _always(panels)
    labels: dict[int, str] = {}
    for number, one in enumerate(series):
        group = next((group for group in always if number in group.members), None)
        if group is not None:
            if number == group.members[0]:
                labels[number] = f"{_named(series, group.members)}: {group}"
        elif any(number == group.members[0] for panel in panels for group in panel):
            labels[number] = one.name
    return labels


def in_this_panel(series: Sequence[Series], panel: Sequence[Together], panels: Sequence[Sequence[Together]]) -> str:
    """What coincides in this panel and not in all: `5+0 and 10+5: the same`; empty: nothing."""
    everywhere = {group.members for group in _always(panels)}
    here = [group for group in panel if len(group.members) > 1 and group.members not in everywhere]
    if len(panel) == 1 and here:
        return f"all {here[0]}"
    return "; ".join(f"{_named(series, group.members)}: {group}" for group in here)


def _always(panels: Sequence[Sequence[Together]]) -> list[Together]:
    """The groups of several that every panel has."""
    if not panels:
        return []
    found = []
    for group in panels[0]:
        same = [other for panel in panels for other in panel if other.members == group.members]
        if len(group.members) > 1 and len(same) == len(panels):
            found.append(Together(group.members, all(other.exactly for other in same)))
    return found


def _named(series: Sequence[Series], members: Sequence[int]) -> str:
    return listed([series[number].name for number in members], most=MOST_NAMED)


def _sampled(curve: Curve, at: np.ndarray) -> np.ndarray:
    x, y = curve
    if not len(x):
        return np.zeros_like(at)
    place = np.searchsorted(x, at, side="right") - 1
    return np.where(place >= 0, y[np.maximum(place, 0)], 0.0)


def _equal(one: Curve, other: Curve) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))
