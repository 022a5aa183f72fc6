"""Why a trial is no measurement: the bounds, and the words with numbers that they did not expect."""

import pytest

from harness.model.doubt import CALM_P50_S, STALLS, Component, Doubt, Reason, release_budget, stall_bound_s
from harness.model.scenario import pool
from harness.model.story import Story
from harness.model.timeline import Burst
from harness.model.wake import profile

STORY = Story(name="any", wake=profile("neon"), timeline=(Burst(1, 1.0),))

COUNTS = "; more than 0.5 s counts"


@pytest.mark.parametrize(
    ("settings", "bound_s"),
    [
        ({}, 0.5),
        ({"pool_timeout": 3}, 0.3),
        ({"pool_timeout": 0.5}, 0.25),
        ({"connection_timeout": 4}, 0.4),
        ({"statement_timeout": 2.6}, 0.26),
        ({"statement_timeout": 0}, 0.5),
        ({"pool_timeout": 300, "connection_timeout": 300, "statement_timeout": 300}, 0.5),
    ],
)
def test_a_part_may_stand_still_for_a_tenth_of_the_shortest_timeout(settings: dict[str, float], bound_s: float) -> None:
    assert stall_bound_s(STORY, pool("5+0", **settings)) == pytest.approx(bound_s)


def test_every_part_has_a_reason_and_every_reason_words() -> None:
    assert set(STALLS) == set(Component)
    assert len(set(STALLS.values())) == len(Component)
    for reason in Reason:
        assert reason.clause
        assert not reason.clause.endswith(".")
        assert reason.advice.endswith(".")


@pytest.mark.parametrize(
    ("doubt", "end"),
    [
        (Doubt(Reason.SERVICE_STALLED, 3.014, 0.5, 8.24), " for 3.01 s, 8.2 s after the burst began" + COUNTS),
        (Doubt(Reason.PROXY_STALLED, 2.0, 0.5, -0.5), " for 2.00 s, 0.5 s before the burst began" + COUNTS),
        (Doubt(Reason.POSTGRES_STALLED, 4.0, 0.5), " for 4.00 s, at a moment that is not known" + COUNTS),
        (Doubt(Reason.POSTGRES_RESTARTED, at_s=2.04), ", 2.0 s after the burst began"),
        (Doubt(Reason.RELEASED_TOO_MANY, 800, 320, 4.8), ", 800, and 320 is what it serves"),
        (Doubt(Reason.NOT_CALM, 9.7, CALM_P50_S), ": half of its requests took more than 9.70 s, and 1 s is the bound"),
        (Doubt(Reason.LATE_LOAD, 0.614), ": it started requests up to 0.61 s late"),
        (Doubt(Reason.LATE_LOAD), ""),
        (Doubt(Reason.CUT_SHORT), ""),
    ],
)  # fmt: skip
def test_the_words_say_by_how_much_and_what_the_bound_is(doubt: Doubt, end: str) -> None:
    assert doubt.sentence_end() == end


def test_the_budget_grows_with_the_cores_and_is_never_none() -> None:
    assert [release_budget(cores) for cores in (0, 1, 2, 8)] == [160, 160, 320, 1280]
