"""What the simulated database knows: the service's statements with their answers, and what every client asks first."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.service.statements import STATEMENTS, numbered
from harness.simulation.wire import BOOL, FLOAT8, INT4, INT8, TEXT, data_row, encode

VERSION = "PostgreSQL 18.1 (simulated)"
PARAMETERS = {
    "server_version": "18.1",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "is_superuser": "off",
    "in_hot_standby": "off",
}
"""Sent to every client as it connects."""
SETTINGS = {
    **{name.lower(): value for name, value in PARAMETERS.items()},
    "transaction isolation level": "read committed",
    "transaction_isolation": "read committed",
    "search_path": '"$user", public',
}
TYPES = {"integer": INT4, "bigint": INT8, "text": TEXT, "boolean": BOOL, "double precision": FLOAT8}
CAST = re.compile(r"(\$\d+)::[\w ]+?(?=[\s,)]|$)")
SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Known:
    """A statement the database knows: parameter and column types, its rows for given parameters, its tag."""

    parameters: tuple[int, ...]
    columns: tuple[tuple[str, int], ...]
    rows: Callable[[Sequence[Any]], Sequence[tuple[Any, ...]]]
    tag: str
    """`{}` stands for the number of rows."""
    costs: bool = True
    """Whether it takes service time; what only talks to the session does not."""


@lru_cache(maxsize=1024)
def normal(sql: str) -> str:
    """A statement's text with casts of parameters, line ends and a last semicolon taken out."""
    return CAST.sub(r"\1", SPACE.sub(" ", sql.strip().rstrip(";").strip()))


@lru_cache(maxsize=1024)
def lookup(sql: str) -> Known | None:
    """What the database knows of a statement, by its `normal` text."""
    known = _KNOWN.get(sql)
    if known is not None:
        return known
    if match := re.fullmatch(r"show (.+)", sql, re.IGNORECASE):
        name = match.group(1).lower()
        if name in SETTINGS:
            return _constant(name.replace(" ", "_"), TEXT, SETTINGS[name], tag="SHOW")
    if re.match(r"set\b", sql, re.IGNORECASE):
        return Known((), (), lambda _: (), "SET", costs=False)
    if re.match(r"(deallocate|discard|reset)\b|close all$", sql, re.IGNORECASE):
        tag = "CLOSE CURSOR ALL" if sql.upper() == "CLOSE ALL" else sql.split(maxsplit=1)[0].upper()
        return Known((), (), lambda _: (), tag, costs=False)
    return None


@lru_cache(maxsize=4096)
def encoded_rows(sql: str, parameters: tuple[Any, ...], formats: tuple[int, ...]) -> tuple[bytes, ...]:
    """A known statement's answer as DataRow messages. The catalogue never changes, so neither do they."""
    known = lookup(sql)
    assert known is not None
    binaries = [bool(formats and formats[min(index, len(formats) - 1)]) for index in range(len(known.columns))]
    types = [type_ for _, type_ in known.columns]
    return tuple(
        data_row(
            [encode(value, type_, binary=binary) for value, type_, binary in zip(row, types, binaries, strict=True)]
        )
        for row in known.rows(parameters)
    )


def _constant(name: str, type_: int, value: object, tag: str = "SELECT 1") -> Known:
    return Known((), ((name, type_),), lambda _: [(value,)], tag, costs=False)


def _statements() -> dict[str, Known]:
    known = {}
    for statement in STATEMENTS:
        sql, names = numbered(statement.sql)
        columns = tuple((name, TYPES[type_]) for name, type_ in statement.columns)
        tag = "SELECT {}" if columns else "INSERT 0 1"
        known[normal(sql)] = Known((INT4,) * len(names), columns, statement.rows, tag)
    return known


FIND_TYPE = (
    "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter"
    " FROM pg_type t WHERE t.oid = to_regtype($1) ORDER BY t.oid"
)
"""psycopg's question for a type by its name: SQLAlchemy asks for hstore, once an engine."""

_KNOWN = {
    **_statements(),
    "SELECT 1": _constant("?column?", INT4, 1),
    "select pg_catalog.version()": _constant("version", TEXT, VERSION),
    "SELECT version()": _constant("version", TEXT, VERSION),
    "select current_schema()": _constant("current_schema", TEXT, "public"),
    FIND_TYPE: Known(
        (TEXT,),
        (("name", TEXT), ("oid", INT4), ("array_oid", INT4), ("regtype", TEXT), ("delimiter", TEXT)),
        lambda _: [],
        "SELECT {}",
        costs=False,
    ),
    # asyncpg's pool says it, among others, as a connection comes back.
    "SELECT pg_advisory_unlock_all()": _constant("pg_advisory_unlock_all", TEXT, ""),
    "SELECT $1": Known((TEXT,), (("text", TEXT),), lambda parameters: [(parameters[0],)], "SELECT 1"),
    "SELECT pg_sleep($1)": Known((FLOAT8,), (("pg_sleep", TEXT),), lambda _: [("",)], "SELECT 1"),
}
