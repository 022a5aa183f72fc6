"""Columns of a run's tables as arrays of numbers, and choices of rows.

From Arrow and not from pandas: slices of a million rows are made without a copy. Where pyarrow is given a value of
Python's or makes an array of numpy's, it imports pandas, which takes a second: both go by buffers here.
"""

from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Number = TypeVar("Number", np.float64, np.int32)


def numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as floats; an empty cell becomes NaN."""
    if not table.num_rows:
        return np.empty(0)
    return _from_buffers(table[column].cast(pa.float64()).combine_chunks(), np.float64(np.nan))


def non_empty(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as floats, without its empty cells."""
    values = numbers(table, column)
    return values[~np.isnan(values)]


def by_instance(pool: pa.Table) -> list[pa.Table]:
    """The samples of the pool, a table for each instance of the service."""
    of = instances(pool)
    first = np.unique(of, return_index=True)[1]
    return [pool] if len(first) == 1 else [chosen(pool, of == of[place]) for place in sorted(first)]


def instances(pool: pa.Table) -> NDArray[np.float64]:
    """The instance of each sample of the pool; runs from before there were several have no number for the only one."""
    return np.nan_to_num(numbers(pool, "instance"))


def is_word(column: pa.ChunkedArray, word: str) -> NDArray[np.bool_]:
    """For each row, whether its text is this one."""
    codes, known = _encoded(column)
    found: NDArray[np.bool_] = codes == (known.index(word) if word in known else len(known))
    return found


def words(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """The text of each row, of a column without empty cells."""
    codes, known = _encoded(column)
    return np.array(known, dtype=object)[codes]


def counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each text occurs, in the order of first occurrence; an empty cell's is None."""
    codes, known = _encoded(column)
    texts = [*known, None]
    found, first, times = np.unique(codes, return_index=True, return_counts=True)
    return {texts[found[place]]: int(times[place]) for place in np.argsort(first)}


def _encoded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """The column's different texts, and for each row the place of its own; -1: it has none."""
    if not len(column):
        return np.empty(0, np.int32), []
    encoded = column.combine_chunks().dictionary_encode()
    return _from_buffers(encoded.indices, np.int32(-1)), encoded.dictionary.to_pylist()


def _from_buffers(array: pa.Array, missing: Number) -> NDArray[Number]:
    """The values of an array, which are of `missing`'s type; an empty cell becomes `missing`."""
    valid, data = array.buffers()
    values = np.frombuffer(data, missing.dtype, len(array), array.offset * missing.nbytes)
    if not array.null_count:
        return values
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), count=array.offset + len(array), bitorder="little")
    return np.where(bits[array.offset :] == 1, values, missing)


def chosen(table: pa.Table, mask: NDArray[np.bool_]) -> pa.Table:
    """The rows for which the mask is true."""
    bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
    return table.filter(pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits]))
