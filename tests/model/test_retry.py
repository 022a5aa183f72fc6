"""What clients do about a failure."""

import pytest

from harness.model.errors import UserError
from harness.model.retry import Retry


def test_the_waits_grow_by_the_factor_up_to_the_longest() -> None:
    assert Retry(retries=5, wait_s=1.0, factor=3.0, max_wait_s=10.0).waits_s(1, 7) == [1.0, 3.0, 9.0, 10.0, 10.0]
    assert Retry(retries=2).waits_s(1, 7) == [0.0, 0.0]


def test_jitter_is_drawn_below_each_wait_and_is_the_same_for_the_same_request() -> None:
    retry = Retry(retries=4, wait_s=1.0, jitter=True)
    waits_s = [retry.waits_s(1, number) for number in range(200)]
    assert all(0 <= wait_s <= 2.0**retry_ for one in waits_s for retry_, wait_s in enumerate(one))
    assert waits_s[3] == retry.waits_s(1, 3) != retry.waits_s(2, 3)
    assert sum(one[0] for one in waits_s) / 200 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("wrong", [{"retries": 0}, {"retries": 1, "wait_s": -1.0}, {"retries": 1, "factor": 0.5}])
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Retry(**wrong)  # type: ignore[arg-type]
