"""The open-loop schedule: from the seed alone, the same for everybody, split without loss."""

import math
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.arrivals import BROWSING, Arrival, Pattern, RequestMix, schedule, share
from harness.model.errors import UserError
from harness.model.shape import RequestShape, Upstream
from harness.model.timeline import Burst

DRAWN = [pattern for pattern in Pattern if pattern is not Pattern.GIVEN]
patterns = st.sampled_from(DRAWN)


def made(
    *, requests: int = 200, over_s: float = 20.0, pattern: Pattern = Pattern.POISSON, seed: int = 1
) -> tuple[Arrival, ...]:
    return schedule(requests=requests, over_s=over_s, pattern=pattern, mix=BROWSING, seed=seed)


@given(st.integers(1, 500), st.floats(0.001, 1e5), patterns, st.integers(0, 2**64))
def test_a_schedule_has_every_request_in_order_within_its_time(
    requests: int, over_s: float, pattern: Pattern, seed: int
) -> None:
    arrivals = made(requests=requests, over_s=over_s, pattern=pattern, seed=seed)
    times = [arrival.at_s for arrival in arrivals]
    assert [arrival.number for arrival in arrivals] == list(range(requests))
    assert times == sorted(times)
    assert all(0 <= at_s < over_s for at_s in times)


@given(st.integers(1, 300), st.integers(1, 9), st.integers(0, 99))
def test_the_shares_of_the_workers_are_the_schedule(requests: int, workers: int, seed: int) -> None:
    arrivals = made(requests=requests, seed=seed)
    shares = [share(arrivals, index=index, count=workers) for index in range(workers)]
    together = [arrival for one in shares for arrival in one]
    assert sorted(together, key=lambda arrival: arrival.number) == list(arrivals)
    assert len(together) == requests


def test_what_is_asked_does_not_depend_on_when() -> None:
    asked = [[(arrival.request, arrival.key) for arrival in made(pattern=pattern)] for pattern in DRAWN]
    assert asked[0] == asked[1] == asked[2]


def test_the_same_seed_gives_the_same_schedule_in_another_process_with_another_hash_seed() -> None:
    code = "from tests.model.test_arrivals import made; print(made(seed=7))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {str(made(seed=7))}


def test_poisson_arrivals_look_like_a_poisson_process() -> None:
    arrivals = made(requests=20_000, over_s=20_000.0)
    gaps = [b.at_s - a.at_s for a, b in pairwise(arrivals)]
    mean_s = sum(gaps) / len(gaps)
    deviation_s = math.sqrt(sum((gap - mean_s) ** 2 for gap in gaps) / len(gaps))
    assert mean_s == pytest.approx(1.0, rel=0.02)
    assert deviation_s == pytest.approx(1.0, rel=0.05)


def test_the_mix_is_asked_for_in_its_proportions() -> None:
    names = [arrival.request for arrival in made(requests=20_000)]
    assert names.count("read_track") / 20_000 == pytest.approx(0.6, abs=0.02)
    assert names.count("write_play") / 20_000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("requests", "over_s"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0)])
def test_an_impossible_burst_is_refused(requests: int, over_s: float) -> None:
    with pytest.raises(UserError, match="burst"):
        made(requests=requests, over_s=over_s)


def test_an_unknown_request_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="read_track"):
        RequestMix.of({"read_everything": 1})


def test_given_moments_are_the_arrivals() -> None:
    burst = Burst.at(0.0, 2.5, 2.5, mix=RequestMix.of({"write_play": 1}))
    assert [(one.number, one.at_s, one.request.value) for one in burst.schedule(1)] == [
        (0, 0.0, "write_play"), (1, 2.5, "write_play"), (2, 2.5, "write_play"),
    ]  # fmt: skip
    assert burst.over_s == 2.5


def test_given_requests_are_asked_for_at_their_moments_whatever_the_seed() -> None:
    shape = RequestShape("upload", Upstream(1.0))
    burst = Burst.at(0.0, 2.5, 3.0, requests=("write_play", shape, "write_play"))
    assert dict(burst.mix.weights) == {"write_play": 2, shape: 1}
    for seed in (1, 2):
        assert [arrival.request for arrival in burst.schedule(seed)] == ["write_play", shape, "write_play"]
    assert [arrival.key for arrival in burst.schedule(1)] != [arrival.key for arrival in burst.schedule(2)]


@pytest.mark.parametrize("moments", [(2.0, 1.0), (-1.0, 1.0)])
def test_given_moments_are_in_order_and_not_before_the_burst(moments: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="moments"):
        Burst.at(*moments)
