"""Reads a log: CSV with a header, JSON lines, or the common and the combined log format of nginx and Apache."""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from harness.access_log.moments import ALLOWED, moment_us
from harness.model.errors import UserError
from harness.model.limits import quoted
from harness.model.replay import REQUEST_COLUMN, TIME_COLUMN, Logged

MAX_LINES = 1_000_000
"""Reading this many took 4 s and 200 MB."""
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SUFFIX_ALLOWED = ".csv with a header; .jsonl, .ndjson or .json with an object a line; .log in the common log format"
LINE = re.compile(r'\S+ [^\[]*\[(?P<time>[^\]]*)\] "(?P<request>(?:[^"\\]|\\.)*)"')
"""`host identity user [time] "request"`, and whatever comes after it: status, size, referrer, agent."""
REQUEST_LINE = re.compile(r"(?P<method>[A-Z]+) (?P<path>[^\s?#]+)\S*(?: HTTP/[0-9.]+)?")
Row = tuple[int, str, str]
"""The number of the line, and the texts of its moment and its request."""


def read_log(path: Path, *, columns: tuple[str, str] = (TIME_COLUMN, REQUEST_COLUMN)) -> list[Logged]:
    """The requests of the log, in order of time. Raises `UserError` in one line, which names file and line."""
    rows = _format_of(path)
    try:
        # Access logs hold what clients sent, in any encoding.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            logged = [_logged(row, path) for row in islice(rows(file, path, columns), MAX_LINES + 1)]
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path)) from error
    if not logged:
        raise UserError("has no requests", where=str(path))
    if len(logged) > MAX_LINES:
        raise UserError("has too many lines", where=str(path), allowed=f"up to {MAX_LINES}")
    return sorted(logged, key=lambda one: one.at_us)


def _format_of(path: Path) -> Callable[[TextIO, Path, tuple[str, str]], Iterator[Row]]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _csv_rows
    if suffix in JSON_SUFFIXES:
        return _json_rows
    if suffix == ".log":
        return _common_rows
    raise UserError(f"is no log by its ending {suffix!r}", where=str(path), allowed=SUFFIX_ALLOWED)


def _logged(row: Row, path: Path) -> Logged:
    number, moment, request = row
    try:
        at_us = moment_us(moment)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{quoted(moment)} is not a moment", where=_line(path, number), allowed=ALLOWED) from error
    request = request.strip()
    line = REQUEST_LINE.fullmatch(request)
    return Logged(at_us, sys.intern(f"{line['method']} {line['path']}" if line else request))


def _csv_rows(file: TextIO, path: Path, columns: tuple[str, str]) -> Iterator[Row]:
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        time, request = (_place_in(header, name, path) for name in columns)
        if time is None:
            raise _no_column(columns[0], header, path)
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                what = f"has {len(fields)} columns"
                raise UserError(what, where=_line(path, reader.line_num), allowed=f"{len(header)}, as the header")
            yield reader.line_num, fields[time], "" if request is None else fields[request]
    except csv.Error as error:
        raise UserError(f"is not CSV: {error}", where=_line(path, max(1, reader.line_num))) from error


def _place_in(header: list[str], name: str, path: Path) -> int | None:
    """Where the column stands; None: nowhere, and nobody asked for it by this name."""
    if name in header:
        return header.index(name)
    if name not in (TIME_COLUMN, REQUEST_COLUMN):
        raise _no_column(name, header, path)
    return None


def _no_column(name: str, header: list[str], path: Path) -> UserError:
    return UserError(f"has no column {name!r}", where=_line(path, 1), allowed=quoted(", ".join(header) or "a header"))


def _json_rows(file: TextIO, path: Path, columns: tuple[str, str]) -> Iterator[Row]:
    time, request = columns
    for number, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            # Numbers stay as they are written, so that no moment is rounded.
            document = json.loads(text, parse_float=str, parse_int=str)
        except (ValueError, RecursionError) as error:
            raise UserError("is not JSON", where=_line(path, number), allowed="one object a line") from error
        if not isinstance(document, dict):
            raise UserError(f"{quoted(text.strip())} is no object", where=_line(path, number), allowed="one a line")
        for name in columns:
            if name not in document and name != REQUEST_COLUMN:
                raise UserError(f"has no key {name!r}", where=_line(path, number), allowed=quoted(", ".join(document)))
        moment, asked = document[time], document.get(request) or ""
        for name, value in ((time, moment), (request, asked)):
            if not isinstance(value, str):
                what = f"{name} is {quoted(json.dumps(value))}"
                raise UserError(what, where=_line(path, number), allowed=ALLOWED if name == time else "text")
        yield number, moment, asked


def _common_rows(file: TextIO, path: Path, columns: tuple[str, str]) -> Iterator[Row]:  # noqa: ARG001 - it has none
    for number, text in enumerate(file, start=1):
        if not text.strip():
            continue
        match = LINE.match(text)
        if match is None:
            allowed = 'host identity user [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" …'
            raise UserError(
                f"{quoted(text.strip())} is not the common log format", where=_line(path, number), allowed=allowed
            )
        yield number, match["time"], match["request"]


def _line(path: Path, number: int) -> str:
    return f"{path.name}, line {number}"
