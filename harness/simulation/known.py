"""Answers from the catalogue (catalogue.py): what the service under test asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from harness.model.packets import ProtocolViolationError
from harness.simulation import wire
from harness.simulation.catalogue import Known, encoded_rows, lookup, normal
from harness.simulation.source import Prepared, StatementError
from harness.simulation.transaction import SESSION_WORDS

SLEEP = "SELECT pg_sleep($1)"


@dataclass(frozen=True, slots=True)
class KnownStatement:
    """A parsed statement; `known` is None for what the session itself understands, and for the empty one."""

    sql: str
    word: str
    known: Known | None
    own: bool
    own_s: float = 0.0
    own_cpu_s: float = 0.0
    executions: dict[tuple[int, bytes], Any] = field(default_factory=dict, compare=False, repr=False)
    """What shortcuts.py knows of it: how it is executed, by the messages that ask for it."""

    def check(self) -> None:
        if self.known is None and self.word not in SESSION_WORDS:
            raise StatementError("42601", f"the simulated database does not know this statement: {self.sql}")

    def described(self) -> bytes:
        known = self.known
        if known is None:
            return wire.parameter_description(()) + wire.NO_DATA
        columns = wire.row_description(known.columns, binary=False) if known.columns else wire.NO_DATA
        return wire.parameter_description(known.parameters) + columns

    def bound(self, values: Sequence[bytes | None], formats: Sequence[int], results: tuple[int, ...]) -> "KnownPortal":
        types = self.known.parameters if self.known else ()
        if len(values) != len(types):
            raise StatementError("08P01", f"bind message supplies {len(values)} parameters, not {len(types)}")
        parameters = tuple(
            [
                wire.decode(value, type_, binary=bool(form))
                for value, type_, form in zip(values, types, formats, strict=False)
            ]
        )
        return KnownPortal(self, parameters, results)


@dataclass(slots=True)
class KnownPortal:
    """A bound statement, and what is still to be fetched from it once it was executed."""

    prepared: Prepared
    parameters: tuple[Any, ...]
    formats: tuple[int, ...]
    known: Known | None
    rows: tuple[bytes, ...] | None
    cpu_s: float

    def __init__(self, prepared: KnownStatement, parameters: tuple[Any, ...], formats: tuple[int, ...]) -> None:
        self.prepared = prepared
        self.parameters = parameters
        self.formats = formats
        self.known = prepared.known
        self.rows = None
        self.cpu_s = 0.0

    @property
    def tag(self) -> str:
        assert self.known is not None
        return self.known.tag

    def row_description(self) -> bytes:
        if self.known is None or not self.known.columns:
            return b""
        return wire.row_description(self.known.columns, binary=self.formats[:1] == (1,))

    def seconds(self, draw_service_s: Callable[[], float]) -> float:
        known = self.known
        if known is None or not known.costs:
            return 0.0
        if self.prepared.sql == SLEEP:
            return float(self.parameters[0])
        return draw_service_s()

    def answer(self) -> tuple[bytes, ...]:
        assert self.known is not None
        return encoded_rows(self.prepared.sql, self.parameters, self.formats) if self.known.columns else ()


@lru_cache(maxsize=4096)
def prepared(text: bytes) -> KnownStatement:
    """A statement as a client sent it; the same text is parsed once."""
    sql = normal(_decoded(text))
    known = lookup(sql) if sql else None
    return KnownStatement(sql, sql.split(maxsplit=1)[0].upper() if sql else "", known, known is None)


@lru_cache(maxsize=1024)
def statements_of(text: bytes) -> tuple[KnownStatement, ...]:
    """The statements of a simple query; none of an empty one."""
    return tuple(statement for part in text.split(b";") if (statement := prepared(part)).sql)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolationError("invalid byte sequence for encoding UTF8") from error


class KnownSource:
    """The source of every session that has no recording: there is nothing that one session would keep for itself."""

    def prepared(self, text: bytes, types: bytes) -> Prepared:  # noqa: ARG002 - the catalogue says which
        return prepared(text)

    def simple(self, text: bytes) -> tuple[Prepared, ...]:
        return statements_of(text)

    def cursor(self, name: bytes) -> None:  # noqa: ARG002 - there are none
        return None

    def transaction_ended(self) -> None:
        """Nothing ends with it."""


KNOWN = KnownSource()
