"""A recording: the statements of an application with PostgreSQL's answers and their times, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeAlias

CONNECTING = "(connecting)"
"""The name under which a recording has what making a connection computes: no request can be called so."""
VERSION = 2
"""Of the file's format."""
READABLE = (1, VERSION)
"""Version 1 does not say what the server computed."""

ENUMS_SQL = "SELECT unnest(ARRAY[oid, typarray]) AS oid FROM pg_catalog.pg_type WHERE typtype = 'e' ORDER BY oid"
"""Asks a database for its enum types: `without_values` keeps their values."""

Value: TypeAlias = bytes | None
"""As it went over the wire, in the format that was asked for; None: NULL."""
Row: TypeAlias = tuple[Value, ...]


def spread(formats: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Format codes, one a value: none stands for text, one for all."""
    if len(formats) == count:
        return formats
    return (formats[:1] or (0,)) * count


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long something took, over all the times it was seen."""

    count: int
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Seconds | None":
        """None for nothing; to the microsecond."""
        if not seconds:
            return None
        return cls(len(seconds), round(median(seconds), 6), round(min(seconds), 6), round(max(seconds), 6))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a RowDescription; the format is the request's."""

    name: str
    type: int
    """Its oid."""
    size: int
    """In bytes; -1: it varies."""
    modifier: int = -1
    table: int = 0
    """The oid of the table that it is a column of; 0: of none."""
    number: int = 0
    """Its number in that table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What PostgreSQL answered to a statement with these values."""

    values: Row = ()
    formats: tuple[int, ...] = ()
    """Of the values: 0 text, 1 binary, one a value."""
    results: tuple[int, ...] = ()
    """The format of each column."""
    turn: int = 1
    """Which time it was, of those that one transaction asked this with these values: it may have changed the data."""
    rows: tuple[Row, ...] = ()
    tag: str | None = None
    """CommandComplete's; None: an error, or rows whose end nobody fetched."""
    error: Mapping[str, str] | None = None
    """An ErrorResponse's fields by their letters (PostgreSQL's documentation, "Error and Notice Message Fields")."""
    seconds: Seconds | None = None

    @property
    def key(self) -> tuple[Row, tuple[int, ...], tuple[int, ...], int]:
        """What tells it from the statement's other answers."""
        return self.values, self.formats, self.results, self.turn

    @property
    def question(self) -> tuple[Row, tuple[int, ...], int]:
        """What it answers, in whatever format."""
        return self.values, self.formats, self.turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One text, parsed with one list of parameter types."""

    sql: str
    declared: tuple[int, ...] = ()
    """The types' oids that the client named as it had the text parsed; 0: the server's to find out."""
    types: tuple[int, ...] | None = None
    """The parameters' types as the server described them; None: nobody asked."""
    columns: tuple[Column, ...] | None = None
    """Empty: it returns no rows; None: nobody asked."""
    answers: tuple[Answer, ...] = ()
    """In the order in which each was seen for the last time."""
    error: Mapping[str, str] | None = None
    """Why it could not even be parsed; None once it could."""
    refused: str | None = None
    """What it does that can't be played again, in one word: COPY."""
    seconds: Seconds | None = None
    """Over all answers that were no errors; over the errors, where there is nothing else."""
    cpu: Seconds | None = None
    """What its backend computed, over all the times that a connection had carried it out before; None: not known."""
    first_cpu: Seconds | None = None
    """The same for each connection's first time, when its backend reads the catalogues."""


def types_of(statement: Statement, count: int) -> tuple[int, ...]:
    """Parameter types as well as they are known: the client's own, or the server's description; 0: unknown."""
    declared = statement.declared + (0,) * (count - len(statement.declared))
    described = statement.types or (0,) * len(declared)
    return tuple(one or other for one, other in zip(declared, described, strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKind:
    """What whoever asked the application measured of one kind of its requests."""

    request: str
    cpu_s: tuple[float, ...] = ()
    """The application's own CPU time, a request each."""
    before_cpu_s: tuple[float, ...] = ()
    """How much of `cpu_s` was before it had a connection, and"""
    held_cpu_s: tuple[float, ...] = ()
    """how much while it had one; empty: not known."""
    connecting_cpu_s: tuple[float, ...] = ()
    """The same of requests whose connection was a new one: with the handshake, and what its first statements cost the
    driver."""
    latency_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One application's statements, and the server that answered them."""

    app: str = ""
    """Its name, as the caller gave it."""
    postgres: str = ""
    """The server's version."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """ParameterStatus, as the first client was told it on connecting."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """The client's: their names and versions, as the caller gave them."""
    recorded_at: str = ""
    """ISO 8601, as the caller gave it."""
    connect: Seconds | None = None
    """From a connection's first byte to its first ReadyForQuery; None: nobody connected."""
    connect_cpu: Seconds | None = None
    """What a backend computed until it was ready for its first statement; None: not known."""
    cores: int | None = None
    """Of the machine that application and server shared, as the caller gave it."""
    has_values: bool = True
    """Whether the values are those of production; False: neutral ones stand in their place."""
    enums: tuple[int, ...] = ()
    """The oids of the database's enum types and of their array types, as the caller gave them (`ENUMS_SQL`)."""
    statements: tuple[Statement, ...] = ()
    requests: tuple[RequestKind, ...] = ()
    notes: tuple[str, ...] = ()
    """What the recorder saw and could not record, a line each."""
