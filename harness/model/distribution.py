"""Distributions of durations, in seconds: of a wake, of a connect, of what a request does."""

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import NormalDist
from typing import Protocol, Self, TypeAlias

from harness.model.errors import UserError
from harness.model.limits import check_number, quoted

Z95 = 1.6448536269514722
"""The 95th percentile of the standard normal distribution."""
SHORTEST_S = 1e-6
"""The least percentile of a drawn latency: with it, every draw is a finite number."""
MAX_LATENCIES = 100_000
"""The most measured latencies in a file: a larger file is probably another table, given by mistake."""
LATENCIES_ALLOWED = f"up to {MAX_LATENCIES}"
CSV_ALLOWED = "a CSV file in UTF-8 whose first column is a latency in seconds, with or without a header"


class Distribution(Protocol):
    """A distribution of durations in seconds, drawn anew each time; `str` gives it in words."""

    def draw(self, random_: random.Random) -> float: ...

    def quantile(self, share: float) -> float:
        """The duration that this share of the draws, from 0 to 1, is no longer than."""
        ...

    def share_above(self, seconds: float) -> float:
        """The share of the draws that are longer than this."""
        ...

    def __str__(self) -> str: ...


def three_figures(latency_s: float) -> str:
    """A latency with three figures: `7.31`, `12.4`, `1700`; never with an exponent."""
    return f"{latency_s:.3g}" if latency_s < 999.5 else f"{latency_s:.0f}"


@dataclass(frozen=True, slots=True)
class Constant:
    """Every wake takes the same time."""

    latency_s: float

    def __post_init__(self) -> None:
        check_number("wake latency", self.latency_s, where="wake")

    def draw(self, random_: random.Random) -> float:  # noqa: ARG002 - a constant draws nothing
        return self.latency_s

    def quantile(self, share: float) -> float:  # noqa: ARG002 - every draw is the same
        return self.latency_s

    def share_above(self, seconds: float) -> float:
        return float(self.latency_s > seconds)

    def __str__(self) -> str:
        return f"{self.latency_s:.12g} s"


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A log-normal wake latency with this median and 95th percentile; a draw above `max_s` is repeated."""

    p50_s: float
    p95_s: float
    max_s: float

    def __post_init__(self) -> None:
        for name in ("p50_s", "p95_s", "max_s"):
            check_number(name, getattr(self, name), where="wake", least=SHORTEST_S)
        if not self.p50_s < self.p95_s <= self.max_s:
            raise UserError(f"needs 0 < p50 < p95 <= max, got {self}", where="wake")

    def draw(self, random_: random.Random) -> float:
        logarithm = self._logarithm
        while True:
            latency_s = random_.lognormvariate(logarithm.mean, logarithm.stdev)
            if latency_s <= self.max_s:
                return latency_s

    @property
    def _logarithm(self) -> NormalDist:
        """Of the latency before draws above `max_s` are repeated."""
        return NormalDist(math.log(self.p50_s), math.log(self.p95_s / self.p50_s) / Z95)

    def quantile(self, share: float) -> float:
        logarithm = self._logarithm
        of_all = share * logarithm.cdf(math.log(self.max_s))
        return 0.0 if of_all <= 0 else self.max_s if share >= 1 else math.exp(logarithm.inv_cdf(of_all))

    def share_above(self, seconds: float) -> float:
        if seconds <= 0:
            return 1.0
        cdf = self._logarithm.cdf
        return 1 - min(1.0, cdf(math.log(seconds)) / cdf(math.log(self.max_s)))

    def __str__(self) -> str:
        return f"p50 {self.p50_s:g} s, p95 {self.p95_s:g} s"


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any duration from `least_s` to `most_s`, all with the same probability."""

    least_s: float
    most_s: float

    def __post_init__(self) -> None:
        check_number("least_s", self.least_s, where="duration")
        check_number("most_s", self.most_s, where="duration")
        if not self.least_s < self.most_s:
            raise UserError(f"needs least_s < most_s, got {self.least_s:g} and {self.most_s:g}", where="duration")

    def draw(self, random_: random.Random) -> float:
        return random_.uniform(self.least_s, self.most_s)

    def quantile(self, share: float) -> float:
        return self.least_s + share * (self.most_s - self.least_s)

    def share_above(self, seconds: float) -> float:
        return min(1.0, max(0.0, (self.most_s - seconds) / (self.most_s - self.least_s)))

    def __str__(self) -> str:
        return f"{self.least_s:g} to {self.most_s:g} s"


@dataclass(frozen=True, slots=True)
class Empirical:
    """One of these measured latencies, all with the same probability."""

    latencies_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.latencies_s:
            raise UserError("needs at least one latency, each 0 or positive", where="wake")
        if len(self.latencies_s) > MAX_LATENCIES:
            raise UserError(f"{len(self.latencies_s)} latencies are too many", where="wake", allowed=LATENCIES_ALLOWED)
        for value in self.latencies_s:
            check_number("wake latency", value, where="wake")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a CSV file whose first column is seconds, with or without a header. Raises `UserError`."""
        try:
            # utf-8-sig also accepts a byte-order mark, which spreadsheets write.
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file)
                rows = ((reader.line_num, row[0].strip()) for row in reader if row and row[0].strip())
                # A header and one more than allowed: enough to see that there are too many.
                cells = list(islice(rows, MAX_LATENCIES + 2))
        except OSError as error:
            raise UserError(f"can't be read: {error.strerror}", where=str(path)) from None
        except (ValueError, csv.Error) as error:
            what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"is not a CSV file: {error}"
            raise UserError(what, where=str(path), allowed=CSV_ALLOWED) from None
        # A first line without a number is a header, if other lines follow.
        if len(cells) > 1 and _number(cells[0][1]) is None:
            del cells[0]
        if not cells:
            raise UserError("is empty", where=str(path), allowed=CSV_ALLOWED)
        return cls._checked(path, cells)

    @classmethod
    def _checked(cls, path: Path, cells: Sequence[tuple[int, str]]) -> Self:
        """The latencies from a file's cells, each given with its line number."""
        latencies_s = []
        for line, cell in cells:
            where = f"{path}, line {line}"
            value = _number(cell)
            if value is None:
                raise UserError(f"{quoted(cell)} is not a number of seconds", where=where, allowed=CSV_ALLOWED)
            check_number("wake latency", value, where=where)
            latencies_s.append(value)
        try:
            return cls(tuple(latencies_s))
        except UserError as error:
            raise UserError(error.what, where=str(path), allowed=error.allowed) from None

    def draw(self, random_: random.Random) -> float:
        return random_.choice(self.latencies_s)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered) - 1e-9) - 1))]

    def share_above(self, seconds: float) -> float:
        return sum(latency_s > seconds for latency_s in self.latencies_s) / len(self.latencies_s)

    def __str__(self) -> str:
        return f"one of {len(self.latencies_s)} measured latencies"


Duration: TypeAlias = Constant | LogNormal | Uniform | Empirical
"""A duration in seconds, drawn anew each time."""


def duration(value: "float | Duration", name: str, *, where: str) -> Duration:
    """A number of seconds as a distribution. Raises `UserError` for what is neither."""
    if isinstance(value, Constant | LogNormal | Uniform | Empirical):
        return value
    check_number(name, value, where=where)
    return Constant(float(value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
