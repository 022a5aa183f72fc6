"""Uncertainty: intervals for rates and quantiles, and a test for pairs. 95 % throughout.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927), for rates;
B. Efron, "Bootstrap methods" (1979), percentile intervals, for everything else; the sign test for pairs, which is
McNemar's exact test where the pairs are successes and failures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
ENDS = (50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE))
RESAMPLES = 1000
CELLS = 4000
"""A distribution is resampled at this many of its values: exactly, where there are no more."""
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


def quantiles(samples: Sequence[np.ndarray], percents: Sequence[float]) -> list[Measure]:
    """Quantiles of all trials' values together, with intervals by resampling whole trials.

    The requests of one trial meet the same wake and the same queue: they are not independent, trials are.
    """
    whole = np.sort(np.concatenate(samples)) if samples else np.empty(0)
    if not whole.size:
        return [Measure(float("nan")) for _ in percents]
    values = [float(value) for value in np.percentile(whole, percents)]
    if len(samples) < FEWEST:
        return [Measure(value) for value in values]
    # How many of each trial's values lie up to each of at most CELLS steps of the distribution.
    steps = whole[np.unique(np.linspace(0, whole.size - 1, min(whole.size, CELLS)).astype(int))]
    below = np.stack([np.searchsorted(np.sort(one), steps, side="right") for one in samples]).astype(float)
    drawn = _weights(len(samples)) @ below
    found = []
    for value, percent in zip(values, percents, strict=True):
        reached = np.argmax(drawn >= percent / 100 * drawn[:, -1:], axis=1)
        low, high = np.percentile(steps[reached], ENDS)
        found.append(Measure(value, min(value, float(low)), max(value, float(high))))
    return found


def mean(samples: Sequence[np.ndarray]) -> Measure:
    """The mean of all trials' values together, with an interval by resampling whole trials."""
    counts = np.array([one.size for one in samples], dtype=float)
    if not counts.sum():
        return Measure(float("nan"))
    sums = np.array([one.sum() for one in samples])
    value = float(sums.sum() / counts.sum())
    if len(samples) < FEWEST:
        return Measure(value)
    weights = _weights(len(samples))
    low, high = np.percentile((weights @ sums) / (weights @ counts), ENDS)
    return Measure(value, float(low), float(high))


def _weights(trials: int) -> np.ndarray:
    """How often each resample draws each trial; the same every time."""
    return np.random.default_rng(1).multinomial(trials, np.full(trials, 1 / trials), RESAMPLES).astype(float)


def sign_test(fewer: int, more: int) -> float:
    """How likely pairs that differ fall as unevenly as this by chance alone; 1 when none differs."""
    return float(stats.binomtest(fewer, fewer + more).pvalue) if fewer + more else 1.0
