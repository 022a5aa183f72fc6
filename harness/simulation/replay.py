"""One recording, looked up by the sessions of a simulated server that plays an application's own statements."""

from dataclasses import dataclass, field
from functools import lru_cache

from harness.recording.model import Recording, Statement, types_of
from harness.recording.sql import shape, words
from harness.simulation.matching import Match, OfOneShape
from harness.simulation.source import StatementError
from harness.simulation.transaction import SESSION_WORDS


@dataclass(slots=True)
class Counts:
    """How a replay's statements were answered; those that the session carries out itself are not counted."""

    exact: int = 0
    """This text with these values was recorded."""
    by_shape: int = 0
    """Another text of the same shape, or other values, some of which are the same."""
    last: int = 0
    """Values none of which was recorded: the last answer to that statement."""
    missed: int = 0
    """Never recorded, or recorded as what can't be played again: the client got an error that no database gave it."""
    missed_texts: dict[str, int] = field(default_factory=dict)
    """The statements that were missed, and how often."""


class Replay:
    """One recording, looked up by any number of sessions."""

    def __init__(self, recording: Recording, *, takes_recorded_s: bool = True, computes: bool = False) -> None:
        """`takes_recorded_s` False: a statement takes what the server draws for every statement.

        `computes`: what was recorded as computing is told apart, because it shares the cores.
        """
        self.counts = Counts()
        self.takes_recorded_s = takes_recorded_s
        self.computes = computes and takes_recorded_s
        self._by_text: dict[str, list[Statement]] = {}
        self._by_shape: dict[str, OfOneShape] = {}
        for statement in recording.statements:
            self._by_text.setdefault(shape(statement.sql).exact, []).append(statement)
            self._by_shape.setdefault(shape(statement.sql).text, OfOneShape()).add(statement)
        self.parsed = lru_cache(maxsize=4096)(self._parsed)

    def missed(self, sql: str, why: str) -> StatementError:
        """Count a statement that can't be answered; the error to raise."""
        self.counts.missed += 1
        self.counts.missed_texts[sql] = self.counts.missed_texts.get(sql, 0) + 1
        return StatementError("XX000", f"the recording can't answer, {why}: {sql}")

    def count(self, match: Match) -> None:
        counts = self.counts
        if match is Match.EXACT:
            counts.exact += 1
        elif match is Match.BY_SHAPE:
            counts.by_shape += 1
        else:
            counts.last += 1

    def _parsed(self, sql: str, declared: tuple[int, ...]) -> "Known":
        word = "".join(words(sql, 1))
        its_shape = shape(sql)
        alike = self._by_shape.get(its_shape.text)
        if word in SESSION_WORDS:
            recorded_s = alike.statements[-1].seconds if alike is not None and self.takes_recorded_s else None
            own_cpu = alike.statements[-1].cpu if alike is not None and self.computes else None
            return Known(
                sql,
                word,
                own_s=recorded_s.median if recorded_s else 0.0,
                own_cpu_s=own_cpu.median if own_cpu else 0.0,
            )
        same = self._by_text.get(its_shape.exact, [])
        base = next((one for one in same if one.declared == declared), None)
        base = base or max(same or (alike.statements if alike else []), key=_use, default=None)
        if base is None or alike is None:
            return Known(sql, word, declared=declared)
        return Known(sql, word, base=base, alike=alike, declared=declared, types=_types(sql, declared, base))


def _use(statement: Statement) -> tuple[bool, bool, bool]:
    """Of several statements the one to describe another by."""
    return bool(statement.answers), statement.columns is not None, statement.types is not None


def _types(sql: str, declared: tuple[int, ...], base: Statement) -> tuple[int, ...]:
    """A text's parameter types, by those at the same places of a recorded text of its shape."""
    if shape(base.sql).exact == shape(sql).exact:
        recorded = types_of(base, max(len(base.declared), len(base.types or ())))
        count = max(len(recorded), len(declared))
        recorded += (0,) * (count - len(recorded))
        wanted = declared + (0,) * (count - len(declared))
        return tuple(one or other for one, other in zip(wanted, recorded, strict=True))
    slots = shape(base.sql).slots
    recorded = types_of(base, max((number for number, _ in slots), default=0))
    of_place = {place: recorded[number - 1] for number, place in slots if number <= len(recorded)}
    said = dict(enumerate(declared, start=1))
    return tuple(said.get(number) or of_place.get(place, 0) for number, place in shape(sql).slots)


@dataclass(frozen=True, slots=True)
class Known:
    """What a recording knows of a text."""

    sql: str
    word: str
    own_s: float = 0.0
    own_cpu_s: float = 0.0
    base: Statement | None = None
    """What it is described by."""
    alike: OfOneShape | None = None
    declared: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    several: bool = False
    """Whether it is several statements in one Parse, which PostgreSQL refuses."""
