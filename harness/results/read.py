"""Reads a run's tables as Arrow, from Parquet files or, for a run that did not finish, from its JSON lines."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from harness.model.columns import EVENTS, POOL, REQUESTS, Column
from harness.model.errors import StackError, UserError
from harness.results.folder import MANIFEST
from harness.results.manifest import Manifest
from harness.results.rows import check_rows, rows_of_lines

TABLES: dict[str, tuple[Column, ...]] = {"requests": REQUESTS, "pool": POOL, "events": EVENTS}
ORDER = {"requests": ["trial", "arrival_s", "number"], "pool": ["trial", "at_s"], "events": ["trial", "at_s"]}
"""The columns by which each table's rows are sorted in the file."""
ARROW_TYPES = {"int": pa.int64(), "float": pa.float64(), "text": pa.string()}


def schema(columns: tuple[Column, ...]) -> pa.Schema:
    """A table's Arrow schema."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type], column.nullable) for column in columns])


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the run in `folder`. Raises `UserError` when there is none, or when it is from another format."""
    try:
        return Manifest.read(folder)
    except FileNotFoundError:
        raise UserError(f"has no {MANIFEST}", where=str(folder)) from None


def read_table(folder: Path, name: str) -> pa.Table:
    """One of `TABLES` of the run in `folder`.

    Raises `UserError` when it is missing or damaged, `StackError` where this machine has no thread left to read it.
    """
    finished = folder / f"{name}.parquet"
    # A run that was killed while it closed, or had a full disk then, still has its JSON lines.
    if (spool := folder / f"{name}.jsonl").is_file():
        table = read_spool(spool, name)
        check_rows(table, TABLES[name], where=str(spool))
        return table
    try:
        # Not pyarrow's read_table: it uses datasets, which import pandas.
        with pyarrow.parquet.ParquetFile(finished) as file:
            table = file.read(use_threads=False)
    except FileNotFoundError:
        raise UserError(f"is missing, and so is {spool.name}", where=str(finished)) from None
    except (OSError, pa.ArrowException) as error:
        if "launch worker thread" in str(error):
            # This machine's failure, not the file's.
            raise StackError(str(finished), f"can't be read: {error}") from error
        raise UserError("is not a whole Parquet file: damaged, or cut short", where=str(finished)) from error
    table = _with_columns(table, name, finished)
    check_rows(table, TABLES[name], where=str(finished))
    return table


def _with_columns(table: pa.Table, name: str, file: Path) -> pa.Table:
    """The table with all columns of `name`; a missing nullable one is added, empty. Raises `UserError` otherwise."""
    for field in schema(TABLES[name]):
        if field.name in table.column_names:
            type_ = table.schema.field(field.name).type
            if type_ != field.type:
                raise UserError(f"its column {field.name} is {type_}, not {field.type}", where=str(file))
        elif field.nullable:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        else:
            raise UserError(f"has no column {field.name}", where=str(file))
    return table


def read_spool(spool: Path, name: str) -> pa.Table:
    """The rows of a file of JSON lines; an incomplete last line, left by a kill, is skipped."""
    wanted = schema(TABLES[name])
    content = spool.read_bytes() if spool.is_file() else b""
    lines = content[: content.rfind(b"\n") + 1]
    if not lines:
        return pa.Table.from_batches([], wanted)
    try:
        table = rows_of_lines(lines, TABLES[name], wanted)
    except ValueError as error:
        raise UserError("has a line that is no row of this table", where=str(spool)) from error
    return table.sort_by([(column, "ascending") for column in ORDER[name]])
