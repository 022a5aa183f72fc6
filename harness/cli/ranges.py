"""Ranges on the command line: `5:30:5`, both ends included, or `5,10,20`, or `5`."""

import math

from harness.model.errors import UserError

ALLOWED = "FIRST:LAST, FIRST:LAST:STEP, or values with commas"
MOST = 1000
"""Values of one range: a grid of more is larger than a sweep may be, or a slip in the step."""
FARTHEST = 1e9
"""From zero: far beyond every setting's own limit, and steps between such numbers are still exact."""


def whole_range(text: str, *, where: str) -> list[int]:
    """Whole numbers, each once, ascending. Raises `UserError`."""
    values = number_range(text, where=where)
    if any(value != int(value) or value < 0 for value in values):
        raise UserError(f"{text!r} has values that are no whole numbers, 0 or more", where=where, allowed=ALLOWED)
    return [int(value) for value in values]


def number_range(text: str, *, where: str) -> list[float]:
    """Numbers, each once, ascending. Raises `UserError`."""
    if not is_range(text):
        raise UserError(f"{_cut(text)} is no range", where=where, allowed=ALLOWED)
    numbers = [float(part) for part in text.split(":" if ":" in text else ",")]
    if any(abs(number) > FARTHEST for number in numbers):
        raise UserError(f"{_cut(text)} has too large a number", where=where, allowed=f"up to {FARTHEST:.0f}")
    if ":" not in text:
        return sorted(set(numbers))
    first, last, *rest = numbers
    step = rest[0] if rest else 1.0
    if step <= 0 or last < first:
        raise UserError(f"{_cut(text)} has nothing in it", where=where, allowed=ALLOWED)
    # A little beyond the last, so that 0.1 + 0.2 is not too far. A step near zero makes the quotient infinite.
    steps = (last - first) / step + 1e-9
    if steps >= MOST:
        count = f"{math.floor(steps) + 1}" if steps < FARTHEST else "endless"
        raise UserError(f"{_cut(text)} has {count} values", where=where, allowed=f"up to {MOST}")
    return [round(first + number * step, 9) for number in range(math.floor(steps) + 1)]


def is_range(text: str) -> bool:
    """Whether this is one at all: a wake can also be a profile's name, or a file."""
    parts = text.split(":") if ":" in text else text.split(",")
    try:
        return len(text.split(":")) <= 3 and all(math.isfinite(float(part)) for part in parts)
    except ValueError:
        return False


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
