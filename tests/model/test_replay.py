"""What a log's lines are as a load: when each request comes, and what it asks for."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.model.limits import MAX_REQUESTS
from harness.model.replay import SECOND_US, Logged, Replay, sample
from harness.model.shape import RequestShape, Upstream

UPLOAD = RequestShape("upload", Upstream(0.5))


def logged(*moments_s: float, request: str = "") -> list[Logged]:
    return [Logged(round(at_s * SECOND_US), request) for at_s in moments_s]


def test_each_line_is_a_request_at_its_moment_counted_from_the_first() -> None:
    burst = Replay("x.csv").burst(logged(1764640800.25, 1764640803.5, 1764640801.0))
    assert burst.given_s == (0.0, 0.75, 3.25)
    assert (burst.requests, burst.over_s) == (3, 3.25)
    assert [arrival.request.value for arrival in burst.schedule(7)] == ["read_track"] * 3
    assert type(burst).__name__ == "Burst"


def test_speed_divides_the_moments() -> None:
    assert Replay("x.csv", speed=2).burst(logged(0.5, 1.5, 4.0)).given_s == (0.0, 0.5, 1.75)
    assert Replay("x.csv", speed=0.5).burst(logged(0.5, 1.5)).given_s == (0.0, 2.0)


def test_a_rate_takes_every_second_request_or_each_one_twice() -> None:
    lines = logged(0.5, 1.0, 2.0, 3.0)
    assert Replay("x.csv", rate=0.5).burst(lines).given_s == (0.0, 1.5)
    assert Replay("x.csv", rate=2).burst(lines).given_s == (0.0, 0.0, 0.5, 0.5, 1.5, 1.5, 2.5, 2.5)


@given(st.integers(1, 200), st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.7, 1.0, 1.1, 1.5, 2.0, 3.25]))
def test_a_sample_has_the_rate_s_share_in_order_and_evenly(count: int, rate: float) -> None:
    taken = sample(range(count), rate)
    assert taken == sorted(taken)
    assert taken[0] == 0
    assert abs(len(taken) - count * rate) < 1
    times = [taken.count(number) for number in range(count)]
    assert max(times) - min(times) <= 1


def test_the_first_pattern_that_fits_says_what_a_line_asks_for() -> None:
    replay = Replay(
        "x.csv",
        requests={"*": "list_tracks", "GET /tracks/*": "read_track", "POST /upload": UPLOAD, "GET /static/*": None},
        hold_s=2.5,
    )
    asked = ["GET /tracks/7", "POST /upload", "GET /static/logo.png", "OPTIONS /", ""]
    burst = replay.burst([Logged(number * SECOND_US, request) for number, request in enumerate(asked)])
    assert burst.given_requests == ("read_track", "upload", "list_tracks", "list_tracks")
    assert burst.given_s == (0.0, 1.0, 3.0, 4.0)
    arrivals = burst.schedule(1)
    assert arrivals[1].request == UPLOAD
    assert {arrival.hold_s for arrival in arrivals} == {2.5}
    assert dict(burst.mix.weights) == {"read_track": 1, UPLOAD: 1, "list_tracks": 2}


def test_requests_of_the_same_whole_second_are_spread_over_it() -> None:
    assert Replay("x.log").burst(logged(5, 5, 5, 5, 6, 8, 8)).given_s == (0.0, 0.25, 0.5, 0.75, 1.0, 3.0, 3.5)
    assert Replay("x.csv").burst(logged(5, 5, 5.5)).given_s == (0.0, 0.0, 0.5)


def test_what_a_line_asks_for_does_not_depend_on_the_seed() -> None:
    lines = [Logged(number * SECOND_US, f"{'POST' if number % 3 else 'GET'} /x") for number in range(30)]
    burst = Replay("x.csv", requests={"POST *": "write_play"}).burst(lines)
    asked = [[arrival.request.value for arrival in burst.schedule(seed)] for seed in (1, 2)]
    assert asked[0] == asked[1] == list(burst.given_requests)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Replay(""), "replay: '' is not a path (allowed: the path of a log, as text)"),
        (lambda: Replay(7), "replay: 7 is not a path"),  # type: ignore[arg-type]  # what is refused
        (lambda: Replay("x.csv", speed=0), "replay: speed must be positive, got 0"),
        (lambda: Replay("x.csv", speed=-1), "replay: speed must be positive, got -1"),
        (lambda: Replay("x.csv", rate=0), "replay: rate must be positive, got 0"),
        (lambda: Replay("x.csv", rate=float("nan")), "replay: rate must be a number"),
        (lambda: Replay("x.csv", columns="time"), "replay: columns must be two names, got 'time'"),
        (lambda: Replay("x.csv", columns=("time",)), "replay: columns must be two names, got ('time',)"),
        (
            lambda: Replay("x.csv", requests={"*": "dance"}),
            "replay: no request 'dance' (allowed: read_track, list_tracks, write_play, hold_connection, slow_query, "
            "leak_connection, a RequestShape, or None",
        ),
        (lambda: Replay("x.csv").schedule(1), "Replay('x.csv'): its log has not been read"),
        (
            lambda: Replay("x.csv", requests={"*": None}).burst(logged(1.0)),
            "Replay('x.csv'): has no request that is not left out",
        ),
        (
            lambda: Replay("x.csv", rate=MAX_REQUESTS).burst(logged(1.0, 2.0)),
            "Replay('x.csv'): these are 200000 requests (allowed: up to 100000; a smaller rate takes some of them)",
        ),
        (
            lambda: Replay("x.csv", speed=0.1).burst(logged(0, 300_000)),
            "Replay('x.csv'): lasts 3000000 s (allowed: up to 2147483 s; a larger speed shortens it)",
        ),
    ],
)
def test_what_is_refused_is_named_with_its_place(make: Callable[[], object], line: str) -> None:
    with pytest.raises(UserError) as refused:
        make()
    assert str(refused.value).startswith(line)
