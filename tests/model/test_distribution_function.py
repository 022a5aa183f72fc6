"""Quantiles and shares of a distribution are those of what it draws."""

import random

import pytest

from harness.model.distribution import Constant, Duration, Empirical, LogNormal, Uniform

DRAWS = 20_000
DISTRIBUTIONS: list[Duration] = [
    LogNormal(0.4, 1.5, 10.0),
    LogNormal(2.0, 5.0, 5.0),
    Uniform(5.0, 10.0),
    Empirical((1.0, 2.0, 2.0, 7.5)),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_both_agree_with_the_draws(distribution: Duration) -> None:
    random_ = random.Random(1)
    drawn = sorted(distribution.draw(random_) for _ in range(DRAWS))
    for share in (0.05, 0.4, 0.6, 0.9, 0.99):
        quantile = distribution.quantile(share)
        above = sum(latency_s > quantile for latency_s in drawn) / DRAWS
        assert distribution.share_above(quantile) == pytest.approx(above, abs=0.012)
        assert distribution.share_above(quantile) <= 1 - share + 1e-9
    for seconds in (0.3, 1.9, 3.0, 6.0, 9.9):
        above = sum(latency_s > seconds for latency_s in drawn) / DRAWS
        assert distribution.share_above(seconds) == pytest.approx(above, abs=0.012)


@pytest.mark.parametrize("distribution", [*DISTRIBUTIONS, Constant(8.0)], ids=str)
def test_the_ends(distribution: Duration) -> None:
    assert distribution.share_above(-1.0) == 1.0
    assert distribution.share_above(1e9) == 0.0
    assert distribution.share_above(distribution.quantile(1.0)) == pytest.approx(0.0, abs=1e-12)
    assert distribution.quantile(0.0) <= distribution.quantile(1.0)


def test_a_constant_is_every_quantile_and_no_draw_is_longer() -> None:
    assert [Constant(8.0).quantile(share) for share in (0.0, 0.5, 1.0)] == [8.0, 8.0, 8.0]
    assert [Constant(8.0).share_above(seconds) for seconds in (7.9, 8.0)] == [1.0, 0.0]
