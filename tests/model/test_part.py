"""Parts of a trial's requests: what they are called, and which a story has."""

from dataclasses import replace

import pytest

from harness.model.errors import UserError
from harness.model.part import WHOLE, Part
from harness.scenario import (
    Burst,
    Checkout,
    Expectation,
    Query,
    RealTime,
    RequestMix,
    RequestShape,
    Scenario,
    Suspend,
    Traffic,
    Variant,
    answered_within,
    none,
)
from harness.wake import profile

NESTED = RequestShape("nested", Checkout(Query(), Checkout(Query())))
READS, NESTS = RequestMix.of({"read_track": 1.0}), RequestMix.of({NESTED: 1.0})
STORY = Scenario(
    name="phases",
    wake=profile("neon", latency_s=8.0),
    pools=("10+5",),
    timeline=(Suspend(), Burst(10, 1.0, mix=READS), Traffic(Burst(20, 2.0, mix=NESTS), Burst(30, 3.0, mix=READS))),
    instances=2,
)


def expecting(*expected: Expectation, story: Scenario = STORY) -> Scenario:
    return replace(story, expect={"10+5": expected})


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (none("failure"), "no failed request"),
        (none("failure").in_burst(0), "no failed request in burst 0"),
        (none("failure").of_request("nested").at_wake(8), "no failed request among nested requests at a wake of 8 s"),
        (
            none("pool_timeout").on_instance(1).in_burst(2).of_request("read_track").in_variant("small"),
            "no pool_timeout among read_track requests in burst 2 on instance 1, small",
        ),
        (answered_within(12), "at least 99% of the requests are answered within 12 s"),
        (answered_within(0.5, 0.999), "at least 99.9% of the requests are answered within 0.5 s"),
        (answered_within(12, share=1).in_burst(1), "every request is answered within 12 s in burst 1"),
    ],
)
def test_an_expectation_says_which_requests_it_is_about(expected: Expectation, text: str) -> None:
    assert str(expected) == text


@pytest.mark.parametrize(
    "part",
    [
        WHOLE, Part(burst=0), Part(burst=2, instance=1), Part(request="nested"), Part(request="nested", burst=1),
        Part(request="read_track", burst=2, instance=0),
    ],
    ids=str,
)  # fmt: skip
def test_a_part_that_the_story_has_is_accepted(part: Part) -> None:
    part.check(STORY, where="here")
    assert part.is_whole == (str(part) == "")


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (none("failure").in_burst(3), "no burst 3 (allowed: 0 to 2)"),
        (none("failure").in_burst(-1), "no burst -1 (allowed: 0 to 2)"),
        (none("failure").in_burst(True), "no burst True (allowed: 0 to 2)"),
        (none("failure").in_burst(1.0), "no burst 1.0 (allowed: 0 to 2)"),  # type: ignore[arg-type]  # as a file may
        (none("failure").on_instance(2), "no instance 2 (allowed: 0 to 1)"),
        (none("failure").of_request("nest"), "no request 'nest' (allowed: read_track, nested)"),
        (none("failure").of_request("write_play"), "no request 'write_play' (allowed: read_track, nested)"),
        (none("failure").of_request("nested").in_burst(0), "no request 'nested' in burst 0 (allowed: read_track)"),
    ],
)
def test_a_part_that_the_story_has_not_is_refused_with_what_it_has(expected: Expectation, error: str) -> None:
    with pytest.raises(UserError) as raised:
        expecting(none("failure"), expected)
    assert str(raised.value) == f"scenario phases, expected: no failed request: {error}"


def test_with_one_instance_only_the_first_is_allowed() -> None:
    with pytest.raises(UserError, match=r"no instance 1 \(allowed: 0\)"):
        expecting(none("failure").on_instance(1), story=replace(STORY, instances=1))


def test_a_part_is_looked_for_in_every_variant_that_it_is_about() -> None:
    short = Variant("short", timeline=(Suspend(), Burst(10, 1.0)))
    varied = replace(STORY, variants=(Variant("whole"), short))
    expecting(none("failure").in_burst(2).in_variant("whole"), story=varied)
    with pytest.raises(UserError, match=r"scenario phases, variant short, expected: .*no burst 2"):
        expecting(none("failure").in_burst(2), story=varied)


def test_a_part_that_the_story_in_real_time_has_not_is_refused_when_the_file_is_read() -> None:
    shortened = RealTime("one burst", timeline=(Suspend(), Burst(10, 1.0)))
    with pytest.raises(UserError, match="no burst 2"):
        replace(expecting(none("failure").in_burst(2)), real_time=shortened)


@pytest.mark.parametrize("share", [0, -0.1, 1.01, "all", float("nan")])
def test_a_share_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(UserError, match=r"answered_within: share must be"):
        answered_within(12, share)


@pytest.mark.parametrize("seconds", [0, -1, "12"])
def test_an_answer_takes_some_time(seconds: float) -> None:
    with pytest.raises(UserError, match=r"answered_within: seconds must be"):
        answered_within(seconds)
