"""Uncertainty: 95 % intervals for rates and quantiles, and a test for pairs.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927), for rates;
B. Efron, "Bootstrap methods" (1979), percentile intervals, for everything else; the sign test for pairs, which is
McNemar's exact test where the pairs are successes and failures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
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
    share, spread = count / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return Measure(share, max(0.0, middle - half) if count else 0.0, min(1.0, middle + half) if count < total else 1.0)


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
    # Not at the top, and not scipy.stats, whose import alone takes longer than a simulated run.
    from scipy.special import bdtr

    # With a probability of one half both tails are alike.
    return min(1.0, 2 * float(bdtr(min(fewer, more), fewer + more, 0.5)))
