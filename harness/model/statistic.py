"""How one number of a trial's summary is called, explained and written.

A summary's field or property says it in its type: `peak_waiting: Annotated[int, Statistic("Most requests …")]`. Its
name in the JSON document, its columns of summary.csv, its line in results/README.md and its column on the terminal
follow from that and from nothing else. As everywhere, a name that ends in `_s` is in seconds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from harness.model.columns import Column, TypeName
from harness.model.outcomes import Outcome

TYPE_NAMES: dict[type, TypeName] = {int: "int", float: "float", str: "text", bool: "bool"}
QUANTILES = {"p50": "the median", "p95": "95th percentile", "p99": "99th percentile", "max": "the longest"}


@dataclass(frozen=True, slots=True)
class OnTerminal:
    """A column of the terminal's table, shown where `where` holds for some trial. A line end breaks its heading."""

    heading: str
    where: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A plain number: a value of the JSON document and a column of summary.csv, both by its own name."""

    meaning: str
    in_json: bool = True
    in_csv: bool = True
    csv_place: int = 0
    """Columns stand in the order of the definitions; those with a place above 0 come after all others, by it."""
    after: str = ""
    """Of a property: the field or property it follows."""
    terminal: OnTerminal | None = None

    def columns(self, name: str, type_: Any) -> tuple[Column, ...]:  # noqa: ANN401 - a type
        """Its columns of summary.csv."""
        return (column(name, type_, self.meaning),)

    def cells(self, name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - of the field's type
        """Its values by their columns."""
        return {name: value}

    def to_json(self, value: Any) -> Any:  # noqa: ANN401 - of the field's type
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles(Statistic):
    """Quantiles of many times, by their names in QUANTILES; those of nothing are not there, and empty in the file."""

    of: tuple[str, ...]

    def columns(self, name: str, type_: Any) -> tuple[Column, ...]:  # noqa: ANN401, ARG002 - a type
        return tuple(
            Column(_quantile(name, quantile), "float", f"{self.meaning}: {QUANTILES[quantile]}", nullable=True)
            for quantile in self.of
        )

    def cells(self, name: str, value: Mapping[str, float]) -> dict[str, Any]:
        return {_quantile(name, quantile): value.get(quantile) for quantile in self.of}


@dataclass(frozen=True, slots=True)
class ByOutcome(Statistic):
    """Counts by outcome: those that occurred in the JSON document, a column each in summary.csv."""

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
    """The statistics among a class' fields, in their order, and its properties, each where it says."""
    found = list(_named(get_type_hints(class_, include_extras=True)))
    for name, member in vars(class_).items():
        if isinstance(member, property) and member.fget is not None:
            hints = get_type_hints(member.fget, include_extras=True)
            for derived in _named({name: hints.get("return")}):
                names = [known.name for known in found]
                found.insert(names.index(derived.statistic.after) + 1, derived)
    return tuple(found)


def column(name: str, type_: Any, meaning: str) -> Column:  # noqa: ANN401 - a type
    """A column for values of a plain type; of an optional one it can be empty."""
    kinds = [kind for kind in get_args(type_) if kind is not NoneType] if get_origin(type_) is UnionType else [type_]
    return Column(name, TYPE_NAMES[kinds[0]], meaning, nullable=kinds != [type_])


def _named(hints: Mapping[str, Any]) -> Iterator[Named]:
    for name, hint in hints.items():
        if get_origin(hint) is Annotated:
            type_, *said = get_args(hint)
            for statistic in said:
                if isinstance(statistic, Statistic):
                    yield Named(name, type_, statistic)


def _quantile(name: str, quantile: str) -> str:
    """`latency_s` and `p95`: `latency_p95_s`."""
    return f"{name.removesuffix('_s')}_{quantile}_s"
