"""The description of a number of a trial's summary: its meaning, and how it is written.

It is in the type of the summary's field or property: `peak_waiting: Annotated[int, Statistic("Most requests …")]`. The
name in the JSON document, the columns of summary.csv, the line in results/README.md and the column on the terminal all
follow from it. As everywhere, a name that ends in `_s` is in seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from harness.model.columns import Column, TypeName
from harness.model.doubt import Doubt
from harness.model.outcomes import Outcome

TYPE_NAMES: dict[type, TypeName] = {int: "int", float: "float", str: "text", bool: "bool"}
QUANTILES = {"p50": "the median", "p95": "95th percentile", "p99": "99th percentile", "max": "the longest"}


@dataclass(frozen=True, slots=True)
class OnTerminal:
    """A column of the terminal's table, shown when `where` is true for some trial; `heading` may have several lines.

    A heading that depends on the trials is a function of all that are shown.
    """

    heading: str | Callable[[Sequence[Any]], str]
    where: Callable[[Any], bool]

    def heading_over(self, shown: Sequence[Any]) -> str:
        return self.heading if isinstance(self.heading, str) else self.heading(shown)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A plain number: a value of the JSON document and a column of summary.csv, both by its own name."""

    meaning: str
    in_json: bool = True
    in_csv: bool = True
    csv_place: int = 0
    """Columns are in the order of their definitions; those with a place above 0 come last, ordered by it."""
    after: str = ""
    """For a property: the field or property after which it comes."""
    terminal: OnTerminal | None = None

    def columns(self, name: str, type_: Any) -> tuple[Column, ...]:  # noqa: ANN401 - a type
        """The columns of summary.csv for a field of this name and type."""
        return (column(name, type_, self.meaning),)

    def cells(self, name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - of the field's type
        """The value's cells of summary.csv, by column."""
        return {name: value}

    def to_json(self, value: Any) -> Any:  # noqa: ANN401 - of the field's type
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles(Statistic):
    """Quantiles of many times, by their names in QUANTILES; without any time, JSON has none and CSV has empty cells."""

    of: tuple[str, ...]

    def columns(self, name: str, type_: Any) -> tuple[Column, ...]:  # noqa: ANN401, ARG002 - a type
        return tuple(
            Column(_quantile(name, quantile), "float", f"{self.meaning}: {QUANTILES[quantile]}", nullable=True)
            for quantile in self.of
        )

    def cells(self, name: str, value: Mapping[str, float]) -> dict[str, Any]:
        return {_quantile(name, quantile): value.get(quantile) for quantile in self.of}


@dataclass(frozen=True, slots=True)
class Reasons(Statistic):
    """The reasons of doubts: a list of their names in the JSON document, and one text in summary.csv."""

    def columns(self, name: str, type_: Any) -> tuple[Column, ...]:  # noqa: ANN401, ARG002 - a type
        return (Column(name, "text", self.meaning, nullable=True),)

    def cells(self, name: str, value: Sequence[Doubt]) -> dict[str, Any]:
        return {name: " ".join(self.to_json(value)) or None}

    def to_json(self, value: Sequence[Doubt]) -> list[str]:
        return [doubt.reason.value for doubt in value]


@dataclass(frozen=True, slots=True)
class ByOutcome(Statistic):
    """Counts by outcome: all have a column in summary.csv, the JSON document has those that occurred."""

    def columns(self, name: str, type_: Any) -> tuple[Column, ...]:  # noqa: ANN401, ARG002 - a type
        return tuple(Column(outcome.value, "int", outcome.meaning) for outcome in Outcome)

    def cells(self, name: str, value: Mapping[Outcome, int]) -> dict[str, Any]:  # noqa: ARG002 - they have their own
        return {outcome.value: value.get(outcome, 0) for outcome in Outcome}

    def to_json(self, value: Mapping[Outcome, int]) -> dict[str, int]:
        return {outcome.value: count for outcome, count in value.items() if count}


@dataclass(frozen=True, slots=True)
class Named:
    """A statistic of a class, with the name and the type of its field or property."""

    name: str
    type_: Any
    statistic: Statistic

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.statistic.columns(self.name, self.type_)

    def cells_of(self, summary: object) -> dict[str, Any]:
        return self.statistic.cells(self.name, getattr(summary, self.name))

    def json_of(self, summary: object) -> Any:  # noqa: ANN401 - JSON
        return self.statistic.to_json(getattr(summary, self.name))


def statistics_of(class_: type) -> tuple[Named, ...]:
    """The statistics of a class: its fields in their order, and its properties where their `after` puts them."""
    statistics = list(_named(get_type_hints(class_, include_extras=True)))
    for name, member in vars(class_).items():
        if isinstance(member, property) and member.fget is not None:
            hints = get_type_hints(member.fget, include_extras=True)
            for derived in _named({name: hints.get("return")}):
                names = [other.name for other in statistics]
                statistics.insert(names.index(derived.statistic.after) + 1, derived)
    return tuple(statistics)


def column(name: str, type_: Any, meaning: str) -> Column:  # noqa: ANN401 - a type
    """A column for values of a plain type; for an optional type it can be empty."""
    kinds = [kind for kind in get_args(type_) if kind is not NoneType] if get_origin(type_) is UnionType else [type_]
    # The members of a StrEnum are text.
    plain = str if issubclass(kinds[0], str) else kinds[0]
    return Column(name, TYPE_NAMES[plain], meaning, nullable=kinds != [type_])


def _named(hints: Mapping[str, Any]) -> Iterator[Named]:
    for name, hint in hints.items():
        if get_origin(hint) is Annotated:
            type_, *annotations = get_args(hint)
            for annotation in annotations:
                if isinstance(annotation, Statistic):
                    yield Named(name, type_, annotation)


def _quantile(name: str, quantile: str) -> str:
    """`latency_s` and `p95`: `latency_p95_s`."""
    return f"{name.removesuffix('_s')}_{quantile}_s"
