"""The pools of all instances of the service together, over time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEAD_S = 1.0
"""How much of the time before the burst is shown."""


def together(pool: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """These counts summed over the instances, at the moments at which one of them changes, and at the last.

    Each instance's sample holds until its next one; the index is the moment, in seconds.
    """
    rows = pool[pool["at_s"] >= -LEAD_S]
    each = rows.assign(instance=rows["instance"].fillna(0)).pivot_table(
        index="at_s", columns="instance", values=list(columns), aggfunc="last"
    )
    whole = each.astype(float).ffill().fillna(0.0)
    total = pd.DataFrame({column: whole[column].to_numpy().sum(axis=1) for column in columns}, index=whole.index)
    kept = np.any(total.to_numpy() != total.shift().to_numpy(), axis=1)
    kept[-1:] = True
    return total[kept]
