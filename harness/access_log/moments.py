"""The moments of a log's lines, however they are written, in whole microseconds so that none is rounded twice."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

ALLOWED = "ISO 8601, Unix seconds or milliseconds, or 10/Oct/2025:13:55:36 +0000"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM = 100_000_000_000
"""A number from this one on counts milliseconds: as seconds it would be the year 5138, as milliseconds it is 1973."""
LARGEST = MILLISECONDS_FROM * 1_000
"""What is larger counts in neither."""
SHORTEST_ISO = len("2025-10-10T13")
"""What is shorter has no time of day."""
NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# strptime would read the months in the language of the machine.
COMMON = re.compile(
    r"\[?(?P<day>[0-9]{2})/(?P<month>[A-Z][a-z]{2})/(?P<year>[0-9]{4})"
    r":(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
    r" (?P<sign>[+-])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2})\]?"
)


def moment_us(text: str) -> int:
    """Microseconds since 1970. A time without a zone is UTC. Raises `ValueError` for what is no moment."""
    text = text.strip()
    if NUMBER.fullmatch(text):
        return _of_number(Decimal(text))
    common = COMMON.fullmatch(text)
    if common is None and len(text) < SHORTEST_ISO:
        raise ValueError(text)
    moment = datetime.fromisoformat(text) if common is None else _of_common(common)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def _of_number(number: Decimal) -> int:
    if number >= LARGEST:
        raise ValueError(number)
    return int((number * (1_000 if number >= MILLISECONDS_FROM else 1_000_000)).to_integral_value())


def _of_common(match: re.Match[str]) -> datetime:
    zone = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return datetime(
        int(match["year"]), MONTHS.index(match["month"]) + 1, int(match["day"]),
        int(match["hour"]), int(match["minute"]), int(match["second"]),
        tzinfo=timezone(-zone if match["sign"] == "-" else zone),
    )  # fmt: skip
