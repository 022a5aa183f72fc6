"""A recording without production's data: a neutral value in place of each, of the same type and format.

docs/recording.md has the table of what becomes of which type, and what stays.
"""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.recording import values
from harness.recording.model import Answer, Column, Recording, Row, Statement, Value, types_of
from harness.recording.sql import tokens
from harness.recording.values import ARRAYS, NotConvertibleError, array_elements, array_text, converted

CONSTANTS = {
    values.BOOL: b"t",
    values.FLOAT4: b"1",
    values.FLOAT8: b"1",
    values.NUMERIC: b"1",
    values.DATE: b"2000-01-01",
    values.TIMESTAMP: b"2000-01-01 00:00:00",
    values.TIMESTAMPTZ: b"2000-01-01 00:00:00+00",
}
"""In the text format."""
IN_BOTH_FORMATS = {
    values.XML: (b"<x/>", b"<x/>"),
    1083: (b"00:00:00", struct.pack("!q", 0)),  # time
    1266: (b"00:00:00+00", struct.pack("!qi", 0, 0)),  # timetz
    1186: (b"00:00:01", struct.pack("!qii", 1_000_000, 0, 0)),  # interval
    869: (b"192.0.2.1", b"\x02\x20\x00\x04" + bytes((192, 0, 2, 1))),  # inet
    650: (b"192.0.2.0/24", b"\x02\x18\x01\x04" + bytes((192, 0, 2, 0))),  # cidr
    829: (b"02:00:00:00:00:01", bytes((2, 0, 0, 0, 0, 1))),  # macaddr
    790: (b"$1.00", struct.pack("!q", 100)),  # money
    2278: (b"", b""),  # void
}  # fmt: skip
"""Constants of types that are not converted from one format to the other."""
MOST = {values.INT2: 2**15 - 1, values.INT4: 2**31 - 1, values.INT8: 2**63 - 1, values.OID: 2**32 - 1}
FIRST_USER_OID = 16384
"""PostgreSQL's FirstNormalObjectId: tables and types with smaller oids are its own."""
QUOTING = frozenset("MDHWqp")
"""Fields of an ErrorResponse that may quote values: message, detail, hint, context, query, position in it."""
HARMLESS = frozenset({
    "SELECT", "SHOW", "SET", "AS", "PG_CATALOG", "VERSION", "CURRENT_SCHEMA", "TRANSACTION", "ISOLATION", "LEVEL",
    "STANDARD_CONFORMING_STRINGS", "SERVER_VERSION", "SET_CONFIG", "CURRENT_SETTING", "PG_ADVISORY_UNLOCK_ALL",
})  # fmt: skip
"""A statement of these words alone reads no table."""
COMMON_TABLE = re.compile(r"(\w+)\s*(?:\([^()]*\)\s*)?\bAS\s*\(", re.IGNORECASE)


def without_values(recording: Recording) -> Recording:
    """The same statements, answers and times, with no value of production's in them.

    Equal numbers (uuids, texts) become equal neutral ones and different ones different, so that what belonged together
    still does. Literals in the statements' texts stay.
    """
    neutral = _Neutral(frozenset(recording.enums))
    return replace(
        recording,
        has_values=False,
        statements=tuple(neutral.statement(statement) for statement in recording.statements),
    )


class _Neutral:
    def __init__(self, enums: frozenset[int]) -> None:
        self._enums = enums
        self._numbers: dict[str, dict[bytes, int]] = {}

    def statement(self, statement: Statement) -> Statement:
        error = None if statement.error is None else _error(statement.error)
        if _is_about_the_server(statement):
            answers = [replace(one, error=one.error and _error(one.error)) for one in statement.answers]
        else:
            answers = [self._answer(statement, answer) for answer in statement.answers]
        # Two questions may have become one: the later one's answer is kept.
        return replace(statement, error=error, answers=tuple({answer.key: answer for answer in answers}.values()))

    def _answer(self, statement: Statement, answer: Answer) -> Answer:
        types = types_of(statement, len(answer.values))
        columns = statement.columns or tuple(Column("", 0, -1) for _ in answer.results)
        return replace(
            answer,
            values=tuple(
                self.value(value, type_, form)
                for value, type_, form in zip(answer.values, types, answer.formats, strict=True)
            ),
            rows=tuple(self._row(row, columns, answer.results) for row in answer.rows),
            error=answer.error and _error(answer.error),
        )

    def _row(self, row: Row, columns: tuple[Column, ...], results: tuple[int, ...]) -> Row:
        return tuple(
            value if 0 < column.table < FIRST_USER_OID else self.value(value, column.type, form)
            for value, column, form in zip(row, columns, results, strict=True)
        )

    def value(self, value: Value, type_: int, form: int) -> Value:
        """A neutral value of the type, in the format; None where there is none to be had."""
        if value is None or type_ in self._enums:
            return value
        try:
            return self._of_known_type(value, type_, form)
        except (NotConvertibleError, ValueError, RecursionError):
            return self._of_unknown_type(value, type_)

    def _of_known_type(self, value: bytes, type_: int, form: int) -> Value:
        if type_ in IN_BOTH_FORMATS:
            return IN_BOTH_FORMATS[type_][form]
        if type_ in CONSTANTS:
            return converted(CONSTANTS[type_], type_, from_=0, to=form)
        text = converted(value, type_, from_=form, to=0)
        assert text is not None
        if type_ in MOST:
            number = (self._number("int", text) - 1) % MOST[type_] + 1
            return converted(str(number).encode(), type_, from_=0, to=form)
        if type_ == values.UUID:
            number = self._number("uuid", text)
            return converted(f"00000000-0000-4000-8000-{number:012x}".encode(), type_, from_=0, to=form)
        if type_ == values.BYTEA:
            return converted(b"\\x" + b"00" * ((len(text) - 2) // 2), type_, from_=0, to=form)
        if type_ in (values.JSON, values.JSONB):
            written = json.dumps(self._json(json.loads(text)), ensure_ascii=False).encode()
            return converted(written, type_, from_=0, to=form)
        if type_ in ARRAYS:
            elements = [self.value(one, ARRAYS[type_], 0) for one in array_elements(text)]
            return converted(array_text(elements), type_, from_=0, to=form)
        if type_ not in values.TEXTS:
            raise NotConvertibleError(f"a value of type {type_}")
        return self._text(text)

    def _of_unknown_type(self, value: bytes, type_: int) -> Value:
        """A type of an extension's or the user's own that is text stays so; of anything else nothing is left: NULL."""
        if 0 < type_ < FIRST_USER_OID or value[:1] in (b"{", b"("):
            return None
        try:
            return self._text(value)
        except ValueError:
            return None

    def _text(self, value: bytes) -> bytes:
        text = value.decode()
        if "\0" in text or not re.sub(r"\s", "", text).isprintable():
            raise ValueError("no text: a binary value of a type that nobody knows here, which happens to be UTF-8")
        number = self._number(f"text of {len(text)}", value)
        behind = str(number) if number > 1 else ""
        if len(behind) >= len(text):
            behind = ""
        return ("x" * (len(text) - len(behind)) + behind).encode()

    def _json(self, value: Any) -> Any:  # noqa: ANN401 - of JSON
        if isinstance(value, dict):
            return {name: self._json(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._json(one) for one in value]
        if isinstance(value, str):
            return "x" * len(value)
        return value if value is None else True if isinstance(value, bool) else 1

    def _number(self, kind: str, value: bytes) -> int:
        """The same for equal values: 1, 2, 3, …"""
        numbers = self._numbers.setdefault(kind, {})
        return numbers.setdefault(value, len(numbers) + 1)


def _error(error: Mapping[str, str]) -> dict[str, str]:
    kept = {letter: text for letter, text in error.items() if letter not in QUOTING}
    return {**kept, "M": "words removed from the recording"}


def _is_about_the_server(statement: Statement) -> bool:
    """Whether it asks for nothing but the server's version, settings and types: drivers need the true answers."""
    if any(column.table >= FIRST_USER_OID for column in statement.columns or ()):
        return False
    found = [token for token in tokens(statement.sql) if token.kind in ("word", "quoted", "sign")]
    words = [token.text.upper() for token in found]
    if {token.text.upper() for token in found if token.kind != "sign"} <= HARMLESS:
        return True
    if words[:1] not in (["SELECT"], ["WITH"]):
        return False
    own = {name.upper() for name in COMMON_TABLE.findall(statement.sql)}
    sources = [after for word, after in zip(words, [*words[1:], ""], strict=True) if word in ("FROM", "JOIN")]
    return bool(sources) and all(
        source.startswith("PG_") or source == "INFORMATION_SCHEMA" or source in own or source == "("
        for source in sources
    )
