"""Rows of a run's tables, which somebody may have changed: lines of JSON read strictly, and what no column can hold."""

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from harness.model.columns import Column
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.outcomes import Outcome

BLOCK = 8 * 2**20
"""Bytes of lines that are objects at a time; they become columns then, which are a tenth as large."""
ROWS = 10_000
"""Of a table that are objects at a time."""
LONGEST_S = 1e10
"""Three hundred years: seconds beyond it are a mistake, and their sums no numbers."""
LARGEST = 2**53
"""Whole numbers up to this one are the same as floats, which is what they are counted with."""
WHOLE = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
TYPES = {"int": WHOLE, "float": float, "text": str}
ENCODER = msgspec.json.Encoder()
"""Of rows; several times as fast as the standard library's."""
BAD_JSON = (msgspec.DecodeError, RecursionError, ValueError)


def rows_of_lines(lines: bytes, columns: tuple[Column, ...], wanted: pa.Schema) -> pa.Table:
    """Whole lines of JSON, an object each, as a table. Raises `ValueError` for a line that is no row of it.

    Each line is checked before pyarrow reads it: its reader ends the process, by a signal, where a line has brackets
    some thousands deep (pyarrow 22 to 25).
    """
    fields: list[Any] = [
        (column.name, TYPES[column.type] | None, None) if column.nullable else (column.name, TYPES[column.type])
        for column in sorted(columns, key=lambda column: column.nullable)
    ]
    row = msgspec.defstruct("Row", fields, forbid_unknown_fields=True)
    decoder = msgspec.json.Decoder(row)
    parsing = pyarrow.json.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="error")
    # Not `empty_table`, and not pa.array of what was decoded: for whatever it is given, that imports pandas (a second).
    tables = [pa.Table.from_batches([], wanted)]
    try:
        for block in _blocks(lines):
            decoder.decode_lines(block)
            reading = pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1)
            table = pyarrow.json.read_json(pa.BufferReader(block), reading, parsing)
            # The columns that may hold no null are marked so.
            tables.append(table.select(wanted.names).cast(wanted))
    except BAD_JSON as error:
        raise ValueError(str(error)) from error
    return pa.concat_tables(tables)


def lines_of_rows(table: pa.Table, trials: Collection[int]) -> Iterator[bytes]:
    """The rows of these trials as lines of JSON, as `rows_of_lines` reads them."""
    for batch in table.to_batches(max_chunksize=ROWS):
        for row in batch.to_pylist():
            if row["trial"] in trials:
                cells = {name: cell for name, cell in row.items() if cell is not None}
                yield ENCODER.encode(cells) + b"\n"


def _blocks(lines: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(lines):
        to = lines.find(b"\n", at + BLOCK) + 1 or len(lines)
        yield lines[at:to]
        at = to


def check_rows(table: pa.Table, columns: tuple[Column, ...], *, where: str) -> None:
    """Raises `UserError` for a value that no run has: everything behind this counts with what is here."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        raise UserError("has a text that is not UTF-8, or is damaged", where=where) from None
    for column in columns:
        values = table[column.name]
        if values.null_count and not column.nullable:
            raise UserError(f"a row has no {column.name}", where=where)
        if column.type == "text":
            _check_words(values, column.name, where)
        else:
            most = LONGEST_S if column.type == "float" else LARGEST
            floats = _as_floats(values)
            ends = pc.min_max(floats).as_py().values()
            if pc.any(pc.is_nan(floats)).as_py() or any(end is not None and abs(end) > most for end in ends):
                raise UserError(f"a row's {column.name} is out of range", where=where, allowed=f"up to {most:.15g}")
    if "detail" in table.column_names:
        for event, detail in zip(table["event"].to_pylist(), table["detail"].to_pylist(), strict=True):
            if not _is_detail(event, detail):
                raise UserError(f"the detail of an event {event!r} can't be read", where=where)


def _as_floats(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values if pa.types.is_floating(values.type) else values.cast(pa.float64(), safe=False)


def _check_words(values: pa.ChunkedArray, name: str, where: str) -> None:
    known: Mapping[str, type] = {"outcome": Outcome, "event": Event}
    if name in known:
        words = {str(word) for word in known[name]}  # type: ignore[attr-defined]  # they are enums
        if unknown := set(pc.unique(values).to_pylist()) - words:
            raise UserError(f"no {name} is called {min(unknown)!r}", where=where, allowed=", ".join(sorted(words)))


def _is_detail(event: str, detail: str | None) -> bool:
    """Whether it is what this kind of event says: an object with numbers and texts, or nothing."""
    try:
        said = {} if detail is None else json.loads(detail)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict) or not all(isinstance(one, int | float | str) for one in said.values()):
        return False
    if event == Event.NOT_PLAYED:
        return isinstance(said.get("what"), str) and type(said.get("times")) is int
    if event == Event.ANSWERED:
        return bool(said) and all(type(one) is int for one in said.values())
    if event == Event.BURST_STARTED:
        return type(said.get("burst", 0)) is int and _is_moment(said.get("utc"))
    return True


def _is_moment(text: object) -> bool:
    if text is None:
        return True
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
