"""What a timeline's phases and a client's retries refuse: the line names the number, its place and what is allowed."""

from collections.abc import Callable

import pytest

from harness.model.errors import UserError
from harness.model.limits import LARGEST_FACTOR, LONGEST_S
from harness.model.retry import Retry
from harness.model.shape import RequestShape, Upstream
from harness.model.timeline import Burst, Idle, Slow, Warm


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Idle(0.0), "idle: for_s must be positive"),
        (lambda: Idle(-1.0), "idle: for_s must be positive"),
        (lambda: Slow(-0.1), "slow: round_trip_s must be 0 or positive"),
        (lambda: Warm(-1), "warm: connections must be 0 or more"),
        (lambda: Warm(5, ages_s=(1,)), "warm: either connections or ages_s, one for each"),
        (lambda: Warm(ages_s=(1, -1)), "warm: ages_s must be 0 or positive"),
        (lambda: Burst(requests=0, over_s=1.0), "burst: requests must be at least 1"),
        (lambda: Burst(requests=1, over_s=0.0), "burst: over must be positive"),
        (Burst.at, "burst: requests must be at least 1"),
        (lambda: Burst.at(2.0, 1.0), "burst: the pattern `given` needs its moments, in order"),
        (
            lambda: Burst(requests=2, over_s=1.0, arrivals="given", given_s=(0.5,)),
            "burst: 2 requests need as many moments",
        ),
        (
            lambda: Burst(requests=1, over_s=1.0, arrivals="never"),
            "burst: no arrival pattern 'never' (allowed: poisson, ",
        ),
        (lambda: Burst.at(-1.0, 1.0), "burst: moments must be 0 or positive"),
        (
            lambda: Burst.at(1.0, 2.0, requests=("read_track",)),
            "burst: 2 moments need as many requests, got 1",
        ),
        (
            lambda: Burst(requests=1, over_s=1.0, given_requests=("read_track",)),
            "burst: 0 moments need as many requests, got 1",
        ),
        (lambda: Burst.at(1.0, requests=("dance",)), "request mix: no request 'dance' (allowed: read_track, "),
        (
            lambda: Burst(1, 1.0, "given", given_s=(1.0,), given_requests=("upload",)),
            "burst: no request 'upload' in its mix (allowed: list_tracks, read_track, write_play)",
        ),
        (
            lambda: Burst.at(1.0, 2.0, requests=("read_track", RequestShape("read_track", Upstream(1.0)))),
            "burst: two different requests of its mix have the same name",
        ),
        (lambda: Retry(retries=0), "retry: retries must be at least 1"),
        (lambda: Retry(retries=1, factor=0.5), "retry: factor must be"),
        (lambda: Retry(retries=1, factor=LARGEST_FACTOR * 2), "retry: factor must be"),
        (lambda: Retry(retries=1, wait_s=LONGEST_S * 2), "retry: wait_s must be"),
        (lambda: Retry(retries=1, max_wait_s=-1.0), "retry: max_wait_s must be 0 or positive"),
    ],
)
def test_what_is_refused_is_named_with_its_place(make: Callable[[], object], line: str) -> None:
    with pytest.raises(UserError) as refused:
        make()
    assert str(refused.value).startswith(line)


def test_the_smallest_and_largest_that_mean_something_are_taken() -> None:
    assert Idle(1e-9).for_s == 1e-9
    assert Slow(0.0).round_trip_s == 0.0
    assert Warm(0).connections == 0
    assert Retry(retries=1, wait_s=LONGEST_S, max_wait_s=LONGEST_S, factor=1.0).waits_s(1, 1) == [LONGEST_S]


def test_a_burst_s_schedule_is_its_seed_s() -> None:
    burst = Burst(requests=20, over_s=2.0)
    assert burst.schedule(1) == burst.schedule(1) != burst.schedule(2)


def test_requests_at_given_moments_last_until_the_last_of_them() -> None:
    burst = Burst.at(0.5, 2.0, 7)
    assert (burst.requests, burst.over_s, burst.given_s) == (3, 7.0, (0.5, 2.0, 7.0))
    assert Burst.at(0.5).given_s == (0.5,)
