"""Columns of a run's tables as arrays of numbers.

From Arrow and not from pandas: slices of a million rows are made without a copy.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as floats; an empty cell becomes NaN."""
    values: NDArray[np.float64] = table[column].cast(pa.float64()).to_numpy()
    return values


def non_empty(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as floats, without its empty cells."""
    values = numbers(table, column)
    return values[~np.isnan(values)]


def by_instance(pool: pa.Table) -> list[pa.Table]:
    """The samples of the pool, a table for each instance of the service."""
    instances = pc.fill_null(pool["instance"], 0)
    found = pc.unique(instances).to_pylist()
    return [pool] if len(found) == 1 else [pool.filter(pc.equal(instances, instance)) for instance in found]
