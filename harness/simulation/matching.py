"""Which of a recording's answers a statement gets: the one to these values, the nearest, or the last.

docs/recording.md says what each is.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from harness.recording.model import Answer, Row, Statement, spread, types_of
from harness.recording.sql import Shape, shape
from harness.recording.values import canonical


class Match(StrEnum):
    """How well an answer fits what was asked."""

    EXACT = "exact"
    BY_SHAPE = "by_shape"
    LAST = "last"


Feature = tuple[str, int, bytes | str | None]
"""A value and its place in the shape."""


@dataclass(slots=True, eq=False)
class Recorded:
    """An answer, and the statement it is one of."""

    answer: Answer
    statement: Statement
    exact: str
    """Its text, as shapes have it."""
    features: frozenset[Feature]
    number: int
    """Its place among the answers of its shape."""
    encoded: dict[tuple[int, ...], tuple[bytes, ...]] = field(default_factory=dict)
    """Its DataRow messages, by the result formats that were asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks: a text with values."""

    sql: str
    types: tuple[int, ...]
    values: Row
    formats: tuple[int, ...]
    results: tuple[int, ...]
    """As Bind has them."""
    turn: int = 1
    """Which time of those that its transaction asks the same."""

    @property
    def canonical(self) -> Row:
        return _canonical(self.values, self.types, self.formats)


class OfOneShape:
    """All that was recorded of the texts of one shape."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self._recorded: list[Recorded] = []
        self._exact: dict[tuple[str, Row], list[Recorded]] = {}
        self._having: dict[Feature, deque[Recorded]] = {}
        self._turns = 1
        """The most that one transaction was recorded to ask the same, and was answered differently."""
        self._found: dict[Asked, tuple[Recorded, Match]] = {}
        self._last: dict[tuple[str, tuple[int, ...]], Recorded] = {}
        """The best answer to a text in result formats, whatever the values."""

    def add(self, statement: Statement) -> None:
        self.statements.append(statement)
        its_shape = shape(statement.sql)
        for answer in statement.answers:
            values = _canonical(answer.values, types_of(statement, len(answer.values)), answer.formats)
            features = frozenset(_features(its_shape, values))
            recorded = Recorded(answer, statement, its_shape.exact, features, len(self._recorded))
            self._recorded.append(recorded)
            self._turns = max(self._turns, answer.turn)
            self._exact.setdefault((its_shape.exact, values), []).append(recorded)
            for feature in features:
                self._having.setdefault(feature, deque(maxlen=COMPARED)).append(recorded)

    def find(self, asked: Asked) -> tuple[Recorded, Match] | None:
        """The best answer; None: nothing of this shape was ever answered."""
        if not self._recorded:
            return None
        if asked.turn > self._turns:
            asked = replace(asked, turn=self._turns)
        found = self._found.get(asked)
        if found is None:
            found = self._search(asked)
            if len(self._found) < KEPT:
                self._found[asked] = found
        return found

    def _search(self, asked: Asked) -> tuple[Recorded, Match]:
        values = asked.canonical
        its_shape = shape(asked.sql)
        exact = self._exact.get((its_shape.exact, values))
        if exact:
            turns = [recorded for recorded in exact if recorded.answer.turn <= asked.turn] or exact
            latest = max(recorded.answer.turn for recorded in turns)
            turns = [recorded for recorded in turns if recorded.answer.turn == latest]
            return max(turns, key=lambda recorded: (*_fits(recorded, asked), recorded.number)), Match.EXACT
        features = set(_features(its_shape, values))
        alike = [recorded for feature in features for recorded in self._having.get(feature, ())]
        nearest = max(
            (recorded for recorded in alike if recorded.answer.error is None),
            key=lambda recorded: (len(features & recorded.features), *_rank(recorded, asked, its_shape.exact)),
            default=None,
        )
        if nearest is not None:
            return nearest, Match.BY_SHAPE
        key = its_shape.exact, asked.results
        if key not in self._last:
            self._last[key] = max(self._recorded, key=lambda recorded: _rank(recorded, asked, its_shape.exact))
        return self._last[key], Match.LAST if features else Match.BY_SHAPE


KEPT = 10_000
"""Questions whose answers are kept."""
COMPARED = 100
"""Of the answers that have a value in common with what is asked, so many are compared: the last."""


def _rank(recorded: Recorded, asked: Asked, exact: str) -> tuple[bool, bool, bool, bool, int]:
    good, *rest = _fits(recorded, asked)
    return (good, recorded.exact == exact, *rest, recorded.number)  # type: ignore[return-value]


def _fits(recorded: Recorded, asked: Asked) -> tuple[bool, bool, bool]:
    """What makes one of two answers the better one: no error, all of its rows, the formats that are asked for."""
    answer = recorded.answer
    return answer.error is None, answer.tag is not None, answer.results == spread(asked.results, len(answer.results))


def _canonical(values: Row, types: Sequence[int], formats: Sequence[int]) -> Row:
    return tuple([canonical(value, type_, form) for value, type_, form in zip(values, types, formats, strict=False)])


def _features(its_shape: Shape, values: Row) -> Iterator[Feature]:
    for place, literal in enumerate(its_shape.literals):
        yield "literal", place, literal
    for number, place in its_shape.slots:
        if number <= len(values):
            yield "parameter", place, values[number - 1]
