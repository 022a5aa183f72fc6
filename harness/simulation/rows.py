"""What a trial in virtual time leaves behind."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Simulated:
    """A trial's rows, by the columns of harness/model/columns.py, in the burst's time."""

    requests: list[Row] = field(default_factory=list)
    pool: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    """What an application did that can't be played in virtual time, and how often."""
