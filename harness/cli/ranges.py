"""Ranges on the command line: `5:30:5` (first, last and step; both ends included), `5,10,20`, or `5`."""

import math

from harness.model.errors import UserError
from harness.model.limits import quoted

ALLOWED = "FIRST:LAST, FIRST:LAST:STEP, or values with commas"
MAX_VALUES = 1000
"""The most values of one range: more would exceed a sweep's limit, or the step is a mistake."""
MAX_NUMBER = 1e9
"""The largest absolute value: far above every setting's limit, and steps up to it are still exact."""


def whole_range(text: str, *, where: str) -> list[int]:
    """The whole numbers of a range, each once, ascending. Raises `UserError` for anything else."""
    values = number_range(text, where=where)
    if any(value != int(value) or value < 0 for value in values):
        raise UserError(f"{text!r} has values that are no whole numbers, 0 or more", where=where, allowed=ALLOWED)
    return [int(value) for value in values]


def number_range(text: str, *, where: str) -> list[float]:
    """The numbers of a range, each once, ascending. Raises `UserError` for a text that is no range."""
    if not is_range(text):
        raise UserError(f"{quoted(text)} is no range", where=where, allowed=ALLOWED)
    numbers = [float(part) for part in text.split(":" if ":" in text else ",")]
    if any(abs(number) > MAX_NUMBER for number in numbers):
        raise UserError(f"{quoted(text)} has too large a number", where=where, allowed=f"up to {MAX_NUMBER:.0f}")
    if ":" not in text:
        return sorted(set(numbers))
    first, last, *given_step = numbers
    step = given_step[0] if given_step else 1.0
    if step <= 0 or last < first:
        raise UserError(f"{quoted(text)} has nothing in it", where=where, allowed=ALLOWED)
    # The small addition absorbs rounding such as 0.1 + 0.2. A step near zero makes the quotient infinite.
    steps = (last - first) / step + 1e-9
    if steps >= MAX_VALUES:
        count = f"{math.floor(steps) + 1}" if steps < MAX_NUMBER else "endless"
        raise UserError(f"{quoted(text)} has {count} values", where=where, allowed=f"up to {MAX_VALUES}")
    return [round(first + number * step, 9) for number in range(math.floor(steps) + 1)]


def is_range(text: str) -> bool:
    """Whether the text is a range; where one is allowed, a wake profile or a file may be too."""
    parts = text.split(":") if ":" in text else text.split(",")
    try:
        return len(text.split(":")) <= 3 and all(math.isfinite(float(part)) for part in parts)
    except ValueError:
        return False
