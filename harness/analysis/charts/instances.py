"""The pools of all instances of the service, added up over time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEAD_S = 1.0
"""How much of the time before the burst is shown."""


def together(pool: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The sums of these columns over the instances, at each moment where a sum changes, and at the last moment.

    A sample of an instance holds until its next one. The index is the moment, in seconds.
    """
    rows = pool[pool["at_s"] >= -LEAD_S]
    by_instance = rows.assign(instance=rows["instance"].fillna(0)).pivot_table(
        index="at_s", columns="instance", values=list(columns), aggfunc="last"
    )
    filled = by_instance.astype(float).ffill().fillna(0.0)
    total = pd.DataFrame({column: filled[column].to_numpy().sum(axis=1) for column in columns}, index=filled.index)
    changed = np.any(total.to_numpy() != total.shift().to_numpy(), axis=1)
    changed[-1:] = True
    return total[changed]
