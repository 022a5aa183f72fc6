"""Uncertainty: intervals for rates and quantiles, and a test for pairs. 95 % throughout.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927), for rates;
B. Efron, "Bootstrap methods" (1979), percentile intervals, for everything else; the sign test for pairs, which is
McNemar's exact test where the pairs are successes and failures.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 1000
FEWEST = 3
"""Trials with seeds of their own that an interval over seeds needs at the least."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number and the interval it lies in with 95 % confidence; without `low` and `high` nothing is known of that."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """A value that there is none of, of no request, is null."""
        return {"value": None if math.isnan(self.value) else self.value, "low": self.low, "high": self.high}


def rate(count: int, total: int) -> Measure:
    """`count` of `total`, with Wilson's interval; 0 of nothing, with none."""
    if total == 0:
        return Measure(0.0)
    interval = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return Measure(count / total, float(interval.low), float(interval.high))


def over_trials(samples: Sequence[np.ndarray], statistic: Callable[[np.ndarray], float]) -> Measure:
    """A statistic of all trials' values together, with an interval by resampling whole trials.

    The requests of one trial meet the same wake and the same queue: they are not independent, trials are.
    """
    whole = np.concatenate(samples) if samples else np.empty(0)
    if not whole.size:
        return Measure(float("nan"))
    value = float(statistic(whole))
    if len(samples) < FEWEST:
        return Measure(value)
    draw = np.random.default_rng(1)
    resampled = [
        statistic(np.concatenate([samples[index] for index in draw.integers(0, len(samples), len(samples))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(resampled, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Measure(value, float(low), float(high))


def sign_test(fewer: int, more: int) -> float:
    """How likely pairs that differ fall as unevenly as this by chance alone; 1 when none differs."""
    return float(stats.binomtest(fewer, fewer + more).pvalue) if fewer + more else 1.0
