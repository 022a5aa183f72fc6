"""The largest accepted numbers, each with its reason, and the checks that refuse others with a `UserError`.

Without them a mistake such as `--pool 99999999999+5` or `--over inf` would use up the machine's memory.
"""

import math
import re
from collections.abc import Mapping, Sequence

from harness.model.errors import UserError

LONGEST_S = 2_147_483.0
"""Almost 25 days: PostgreSQL stores timeouts as milliseconds in 32 bits, so none can be longer."""
MAX_CONNECTIONS = 10_000
"""Of all pools of a service together: the client limit of Neon's pooler; 10,000 simulated ones take 300 MB."""
MAX_INSTANCES = 1_000
"""Instances of a service: each has its own pool and, in real time, its own process."""
MAX_REQUESTS = 100_000
"""In one burst: playing this many in virtual time took three minutes and 350 MB."""
MAX_TRIALS = 10_000
"""In one run: its manifest, its summary and its table have an entry for each trial."""
MAX_REQUESTS_OF_A_RUN = 10_000_000
"""In all trials of a run: reading a run takes 130 bytes of memory or more for each request."""
MAX_PROCESSES = 256
"""Trials or Locust workers at a time: each is a process of 60 MB or more."""
MAX_RETRIES = 100
"""Of one request. Up to this number, the waits are finite numbers for every allowed factor."""
LARGEST_FACTOR = 1_000.0
"""The largest factor by which the wait grows from one retry to the next."""
LARGEST_SEED = 2**53
"""Every JSON reader keeps whole numbers up to this one exact."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME_ALLOWED = "1 to 64 letters, digits, _ and -"
TITLE = re.compile(r"[\w .,:;+/%()='-]{1,60}")
PHRASE = re.compile(r"[\w .,:;+/%()='-]{1,300}")
TITLE_ALLOWED = "up to 60 letters, digits, spaces and . , : ; + / % ( ) = ' - _"


def check_number(
    name: str,
    value: object,
    *,
    where: str,
    most: float = LONGEST_S,
    least: float = 0.0,
    above_least: bool = False,
    or_zero: str = "0",
) -> None:
    """Raise `UserError` unless `value` is from `least` to `most`; with `above_least`, `least` itself is refused.

    `or_zero` is how the message names an allowed 0, for settings in which 0 means that there is none.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise UserError(f"{name} must be a number, got {value!r}", where=where)
    if value < least or (above_least and value == least):
        positive = "positive" if above_least else f"{or_zero} or positive"
        must = positive if least == 0 else f"at least {least:g}"
        raise UserError(f"{name} must be {must}, got {_short(value)}", where=where, allowed=f"up to {most:.15g}")
    if value > most:
        raise UserError(f"{name} must be at most {most:.15g}, got {_short(value)}", where=where)


def check_whole(name: str, value: object, *, where: str, most: int, least: int = 0) -> None:
    """Raise `UserError` unless `value` is a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{name} must be a whole number, {least} or more, got {value!r}", where=where)
    if value < least:
        must = f"{least} or more" if least == 0 else f"at least {least}"
        raise UserError(f"{name} must be {must}, got {_short(value)}", where=where, allowed=f"up to {most}")
    if value > most:
        raise UserError(f"{name} must be at most {most}, got {_short(value)}", where=where)


def check_weights(weights: Sequence[tuple[str, float]], *, where: str) -> None:
    """Raise `UserError` unless there is a weight, and each is positive and finite."""
    # Their sum must be finite too, because requests are drawn with it.
    total = sum(weight for _, weight in weights)
    if not all(weight > 0 for _, weight in weights) or not 0 < total < math.inf:
        named: Mapping[str, float] = {str(name): weight for name, weight in weights}
        raise UserError(f"weights must be positive, got {named}", where=where)


def check_kind(value: object, kinds: Sequence[type], what: str, *, where: str) -> None:
    """Raise `UserError` unless the value is one of these kinds: `what` says what it is not."""
    if not isinstance(value, tuple(kinds)):
        allowed = ", ".join(f"{kind.__name__}(…)" for kind in kinds)
        raise UserError(f"{_cut(value)} {what}", where=where, allowed=allowed)


def check_name(name: object, *, where: str) -> None:
    """Raise `UserError` unless this can be part of a file name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"{_cut(name)} is not a name", where=where, allowed=NAME_ALLOWED)


def check_title(title: object, *, where: str) -> None:
    """Raise `UserError` unless this fits in a table's cell on a terminal, in Markdown and in HTML."""
    if not isinstance(title, str) or not TITLE.fullmatch(title) or title != title.strip():
        raise UserError(f"{_cut(title)} is not a name", where=where, allowed=TITLE_ALLOWED)


def check_phrase(text: object, *, where: str) -> None:
    """Raise `UserError` unless this fits behind a title, wherever that is shown."""
    if not isinstance(text, str) or not PHRASE.fullmatch(text):
        raise UserError(f"{_cut(text)} is no description", where=where, allowed=TITLE_ALLOWED.replace("60", "300"))


def _short(value: float | int) -> str:
    # A whole number of hundreds of digits can't become a float, and would fill the screen.
    return f"{value:.15g}" if isinstance(value, float) or abs(value) < 10**300 else "a number of over 300 digits"


def quoted(text: str) -> str:
    """A text from a user in a message: in quotes, and no longer than a line has room for."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
