"""Columns of a run's tables as numbers. Arrow's, not pandas': a million rows are sliced without being copied."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as floats; what is empty is not a number."""
    values: NDArray[np.float64] = table[column].cast(pa.float64()).to_numpy()
    return values


def there(table: pa.Table, column: str) -> NDArray[np.float64]:
    """What is there of a column's numbers."""
    values = numbers(table, column)
    return values[~np.isnan(values)]


def by_instance(pool: pa.Table) -> list[pa.Table]:
    """The samples of each instance's pool."""
    instances = pc.fill_null(pool["instance"], 0)
    found = pc.unique(instances).to_pylist()
    return [pool] if len(found) == 1 else [pool.filter(pc.equal(instances, one)) for one in found]
