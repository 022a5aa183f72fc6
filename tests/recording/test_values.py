"""Values in both wire formats: what PostgreSQL sends in one is what conversion makes of the other."""

import asyncio
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.postgres import PostgresServer
from harness.recording.values import (
    BOOL,
    INT4,
    NUMERIC,
    TEXT,
    NotConvertibleError,
    array_elements,
    array_text,
    canonical,
    converted,
)

EXPRESSIONS = [
    "true", "false", "1::int2", "-2::int4", "9223372036854775807::int8", "4000000000::oid", "1.5::float4",
    "-0.1::float8", "'NaN'::float8", "'-Infinity'::float8", "1e300::float8", "12.50::numeric", "0::numeric",
    "-0.00012::numeric", "123456789012345678901234567890.123::numeric", "'NaN'::numeric", "10000::numeric",
    "0.000000001::numeric", "100000000.00010000::numeric", "'x'::text", "'é'::varchar", "'n'::name",
    "'{\"a\": 1}'::json",
    "'{\"a\": [1, null]}'::jsonb", "'\\xdead00'::bytea", "''::bytea", "'2026-11-27'::date", "'1999-12-31'::date",
    "'2026-11-27 10:20:30.5'::timestamp", "'1990-01-01 00:00:00'::timestamp",
    "'2026-11-27 10:20:30.000001+00'::timestamptz",
    "'c0ffee00-0000-4000-8000-000000000001'::uuid", "'{1,2,NULL}'::int4[]", "'{}'::int8[]",
    "ARRAY['a', 'b,c', '', 'NULL', 'd\"e\\f', NULL, ' g ']::text[]", "ARRAY[1.50, 2]::numeric[]",
    "ARRAY[true, false]", "ARRAY['{\"a\": \"b\"}'::jsonb]",
]  # fmt: skip


def test_both_formats_are_postgresqls_own(postgres: PostgresServer) -> None:
    async def ask() -> list[Any]:
        async with await psycopg.AsyncConnection.connect(postgres.dsn) as connection:
            await connection.execute("SET timezone = 'UTC'")
            found = []
            for expression in EXPRESSIONS:
                both = []
                for binary in (False, True):
                    cursor = connection.cursor(binary=binary)
                    await cursor.execute(f"SELECT {expression}".encode(), prepare=False)
                    assert cursor.pgresult is not None
                    both.append((cursor.pgresult.get_value(0, 0), cursor.pgresult.ftype(0)))
                found.append(both)
            return found

    for expression, ((text, type_), (binary, _)) in zip(EXPRESSIONS, asyncio.run(ask()), strict=True):
        assert converted(binary, type_, from_=1, to=0) == text, expression
        assert converted(text, type_, from_=0, to=1) == binary, expression


def test_what_is_not_known_is_not_guessed() -> None:
    for value, type_ in ((b"1", 99_999), (b"x", INT4), (b"maybe", BOOL), (b"1.2.3", NUMERIC), (b"{{1}}", 1007)):
        with pytest.raises(NotConvertibleError):
            converted(value, type_, from_=0, to=1)
    with pytest.raises(NotConvertibleError):
        converted(b"\0", INT4, from_=1, to=0)
    assert converted(None, INT4, from_=1, to=0) is None
    assert converted(b"anything", 99_999, from_=1, to=1) == b"anything"


def test_numbers_of_any_size_have_one_meaning() -> None:
    assert {canonical(value, INT4, form) for value, form in ((b"7", 0), (b"\0\7", 1), (b"\0\0\0\7", 1))} == {b"7"}
    assert canonical(b"\xff", 99_999, 1) == b"\xff"


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")).map(str.encode)))
def test_arrays_come_back_from_their_text_and_from_their_bytes(elements: list[bytes | None]) -> None:
    text = array_text(elements)
    assert array_elements(text) == elements
    binary = converted(text, 1009, from_=0, to=1)
    assert converted(binary, 1009, from_=1, to=0) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=7) | st.integers().map(str))
def test_numerics_come_back(number: Any) -> None:
    text = f"{number:f}".encode() if not isinstance(number, str) else number.encode()
    if text.lstrip(b"-0.") == b"":
        text = text.removeprefix(b"-")
    assert converted(converted(text, NUMERIC, from_=0, to=1), NUMERIC, from_=1, to=0) == text


@given(
    st.binary(), st.sampled_from([16, 17, 20, 21, 23, 700, 701, 1082, 1114, 1184, 1700, 2950, 3802, 1007, 1009, 1231])
)
def test_no_bytes_break_it(value: bytes, type_: int) -> None:
    for from_, to in ((0, 1), (1, 0)):
        try:
            converted(value, type_, from_=from_, to=to)
        except NotConvertibleError:
            continue
    assert canonical(value, TEXT, 0) == value
