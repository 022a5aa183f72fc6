"""What counts as an answer in a postmortem: one that came before its client lost patience."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.analysis.columns import numbers
from harness.model.outcomes import Outcome
from harness.model.patience import Patience


def answered(patience: Patience, requests: pa.Table) -> np.ndarray:
    """For each of these requests, whether it ended ok in time."""
    return _ok(requests) & (numbers(requests, "latency_s") <= patience.seconds)


def late(patience: Patience, requests: pa.Table) -> int:
    """How many of these requests ended ok, but too late."""
    return int(np.count_nonzero(_ok(requests) & (numbers(requests, "latency_s") > patience.seconds)))


def _ok(requests: pa.Table) -> np.ndarray:
    ok: np.ndarray = pc.equal(requests["outcome"], Outcome.OK.value).to_numpy()
    return ok
