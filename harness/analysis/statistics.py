"""Uncertainty: 95 % intervals for rates and quantiles, and a test for pairs.

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
"""A distribution is resampled at this many of its values; with no more values than this the result is exact."""
MIN_SEEDS = 3
"""The smallest number of seeds (one trial each) for which an interval over seeds is computed."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its 95 % interval; `low` and `high` are None where there is no interval."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """As JSON; a NaN (the value of no request at all) becomes null."""
        return {"value": None if math.isnan(self.value) else self.value, "low": self.low, "high": self.high}


def rate(count: int, total: int) -> Measure:
    """The share `count` / `total` with Wilson's interval; for a `total` of 0 it is 0, without an interval."""
    if total == 0:
        return Measure(0.0)
    interval = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return Measure(count / total, float(interval.low), float(interval.high))


def quantiles(samples: Sequence[np.ndarray], percents: Sequence[float]) -> list[Measure]:
    """Quantiles of all trials' values together, with intervals by resampling whole trials.

    The requests of one trial meet the same wake and the same queue: they are not independent, trials are.
    """
    pooled = np.sort(np.concatenate(samples)) if samples else np.empty(0)
    if not pooled.size:
        return [Measure(float("nan")) for _ in percents]
    values = [float(value) for value in np.percentile(pooled, percents)]
    if len(samples) < MIN_SEEDS:
        return [Measure(value) for value in values]
    # For each trial, the number of its values at or below each of at most CELLS steps of the distribution.
    steps = pooled[np.unique(np.linspace(0, pooled.size - 1, min(pooled.size, CELLS)).astype(int))]
    below = np.stack([np.searchsorted(np.sort(trial), steps, side="right") for trial in samples]).astype(float)
    drawn = _weights(len(samples)) @ below
    found = []
    for value, percent in zip(values, percents, strict=True):
        reached = np.argmax(drawn >= percent / 100 * drawn[:, -1:], axis=1)
        low, high = np.percentile(steps[reached], ENDS)
        found.append(Measure(value, min(value, float(low)), max(value, float(high))))
    return found


def mean(samples: Sequence[np.ndarray]) -> Measure:
    """The mean of all trials' values together, with an interval by resampling whole trials."""
    # A trial without a value says nothing of the mean, and a resample of such trials alone has none.
    samples = [values for values in samples if values.size]
    if not samples:
        return Measure(float("nan"))
    counts = np.array([values.size for values in samples], dtype=float)
    sums = np.array([values.sum() for values in samples])
    value = float(sums.sum() / counts.sum())
    if len(samples) < MIN_SEEDS:
        return Measure(value)
    weights = _weights(len(samples))
    low, high = np.percentile((weights @ sums) / (weights @ counts), ENDS)
    return Measure(value, float(low), float(high))


def _weights(trials: int) -> np.ndarray:
    """How often each resample draws each trial. The random seed is fixed, so results are repeatable."""
    return np.random.default_rng(1).multinomial(trials, np.full(trials, 1 / trials), RESAMPLES).astype(float)


def sign_test(fewer: int, more: int) -> float:
    """The p-value: how likely chance alone makes the differing pairs at least this uneven; 1 when no pair differs."""
    return float(stats.binomtest(fewer, fewer + more).pvalue) if fewer + more else 1.0
