"""A trial's numbers from its rows: parts, counters, answers in time, recovery; also from rows of old runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.judge import judge
from harness.analysis.summarise import summarise
from harness.model.expectation import Verdict
from harness.model.part import Part
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.story import Story
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Traffic
from harness.model.trial import Trial
from harness.results.read import TABLES, schema
from harness.scenario import Expectation, Scenario, answered_within, latency_p95_at_most, none, that
from harness.wake import profile

WAKE = profile("neon", latency_s=8.0)
TIMELINE = (Suspend(), Burst(2, 1.0), Traffic(Burst(3, 3.0), Burst(4, 2.0)))
"""Requests 0 and 1 are burst 0; 2 to 8 are bursts 1 and 2, in order of time."""
BURSTS = (0, 0, 1, 2, 1, 2, 1, 2, 2)
NOBODY = {"size": 0, "idle": 0, "checked_out": 0, "overflow": 0, "connecting": 0, "waiting": 0}


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{"trial": 0, **row} for row in rows], schema=schema(TABLES[name]))


def request(number: int, *, latency_s: float = 1.0, outcome: str = "ok", **more: Any) -> dict[str, Any]:
    error = None if outcome == "ok" else "TimeoutError"
    return {
        "number": number, "request": "read_track", "arrival_s": number * 1.0, "start_s": number * 1.0,
        "end_s": number + latency_s, "latency_s": latency_s, "outcome": outcome, "error": error, **more,
    }  # fmt: skip


def sample(at_s: float, **counts: int | None) -> dict[str, Any]:
    return {"at_s": at_s, **NOBODY, "instance": 0, **counts}


def event(at_s: float, name: str, **detail: Any) -> dict[str, Any]:
    return {"at_s": at_s, "event": name, "value_s": None, "detail": json.dumps(detail) if detail else None}


def trial(*, patience_s: float | None = None, instances: int = 1, wake: bool = True) -> Trial:
    story = Story(name="told", wake=WAKE, timeline=TIMELINE, patience_s=patience_s, instances=instances)
    return Trial(number=0, story=story, pool=PoolConfiguration(pool_size=5), wake=WAKE if wake else None, seed=1)


def summary(
    requests: Sequence[Mapping[str, Any]] = (),
    *,
    pool: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
    of: Trial | None = None,
) -> TrialSummary:
    rows = table("requests", requests)
    return summarise(of or trial(), requests=rows, pool=table("pool", pool), events=events, wall_s=1.0)


def in_bursts(*, old: bool = False, **more: Any) -> list[dict[str, Any]]:
    """Nine requests, the fourth of which fails."""
    return [
        request(number, outcome="pool_timeout" if number == 3 else "ok", latency_s=number + 1.0,
                burst=None if old else burst, **more)
        for number, burst in enumerate(BURSTS)
    ]  # fmt: skip


def test_the_bursts_of_a_trial_are_told_apart() -> None:
    found = summary(in_bursts(), of=trial(patience_s=5.0)).bursts
    assert [list(burst.latencies_s) for burst in found] == [[1.0, 2.0], [3.0, 5.0, 7.0], [4.0, 6.0, 8.0, 9.0]]
    assert [(burst.requests, burst.failed, burst.answered_within) for burst in found] == [
        (2, 0, 2),
        (3, 0, 2),
        (4, 1, 0),
    ]
    assert [burst.latency_s["max"] for burst in found] == [2.0, 7.0, 9.0]
    assert [burst.first_failure_s for burst in found] == [None, None, 7.0]
    assert [burst.errors for burst in found] == [{}, {}, {"TimeoutError": 1}]


def test_the_document_has_each_burst_where_there_are_several() -> None:
    started = [event(at_s, "burst_started", burst=number) for number, at_s in enumerate((0.0, 2.0, 5.0))]
    document = summary(in_bursts(), events=started).to_json()
    assert [burst.pop("starts_s") for burst in document["bursts"]] == [0.0, 2.0, 5.0]
    assert document["bursts"][2] == {
        "burst": 2, "requests": 4, "outcomes": {"ok": 3, "pool_timeout": 1}, "answered_within": None,
        "latency_s": {"p50": 7.0, "p95": 8.85, "p99": 8.97, "max": 9.0},
    }  # fmt: skip
    json.dumps(document)
    # Of a trial that was cut short, before a burst had begun:
    cut_short = summary(in_bursts()[:2], events=started[:1]).to_json()["bursts"]
    assert [(burst["requests"], burst["starts_s"], burst["latency_s"]) for burst in cut_short][1:] == [
        (0, None, {})
    ] * 2


def test_an_old_run_has_its_bursts_by_the_numbers_of_its_requests() -> None:
    separate = Story(name="told", wake=WAKE, timeline=(Burst(2, 1.0), Burst(3, 1.0), Burst(4, 1.0)))
    old = Trial(number=0, story=separate, pool=PoolConfiguration(pool_size=5), wake=WAKE, seed=1)
    found = summary(in_bursts(old=True), of=old, events=[event(0.0, "burst_started"), event(2.0, "burst_started")])
    assert [burst.requests for burst in found.bursts] == [2, 3, 4]
    assert [burst.latency_s["max"] for burst in found.bursts] == [2.0, 5.0, 9.0]
    assert found.bursts_started_s == {0: 0.0, 1: 2.0}
    assert (found.connects, found.connects_failed, found.pings_failed) == (None, None, None)


def test_requests_go_to_the_instances_in_turn_within_their_load() -> None:
    found = summary(in_bursts(), of=trial(instances=2))
    # Numbers 0 and 1 are a load, 2 to 8 another one, which begins with the first instance again.
    assert [number - 1 for number in found.part(Part(instance=0)).latencies_s] == [0, 2, 4, 6, 8]
    assert [number - 1 for number in found.part(Part(instance=1)).latencies_s] == [1, 3, 5, 7]
    three = summary(in_bursts(), of=trial(instances=3))
    assert [number - 1 for number in three.part(Part(instance=0, burst=1)).latencies_s] == [2]


@given(
    st.lists(st.sampled_from(["read_track", "nested"]), min_size=9, max_size=9),
    st.lists(st.sampled_from(["ok", "pool_timeout", "error"]), min_size=9, max_size=9),
    st.integers(1, 4),
    st.lists(st.floats(0, 10), min_size=9, max_size=9),
)
def test_the_parts_together_are_the_whole(
    names: list[str], outcomes: list[str], instances: int, latencies_s: list[float]
) -> None:
    rows = [
        request(number, outcome=outcomes[number], latency_s=latencies_s[number], burst=BURSTS[number])
        | {"request": names[number]}
        for number in range(9)
    ]  # fmt: skip
    whole = summary(rows, of=trial(instances=instances, patience_s=5.0))
    divided = (
        [Part(burst=burst) for burst in range(3)],
        [Part(request=name) for name in ("read_track", "nested")],
        [Part(instance=instance) for instance in range(instances)],
        [Part(burst=burst, instance=instance) for burst in range(3) for instance in range(instances)],
    )
    for parts in divided:
        found = [whole.part(part) for part in parts]
        assert sorted(latency_s for part in found for latency_s in part.latencies_s) == sorted(whole.latencies_s)
        for name in ("requests", "failed", "answered_within", "unanswered", "attempts"):
            assert sum(getattr(part, name) for part in found) == getattr(whole, name), name
        assert all(part.complete == whole.complete for part in found)
    assert whole.part(Part()) is whole


def test_an_instances_part_has_the_numbers_of_its_own_pool() -> None:
    pool = [sample(0.0, instance=0, waiting=3, connects=2), sample(0.0, instance=1, waiting=5, connects=4)]
    whole = summary(in_bursts(), pool=pool, of=trial(instances=2))
    assert (whole.peak_waiting, whole.connects) == (5, 6)
    parts = [whole.part(Part(instance=instance)) for instance in (0, 1)]
    assert [(part.peak_waiting, part.connects) for part in parts] == [(3, 2), (5, 4)]
    assert whole.part(Part(burst=0)).peak_waiting == 5, "the pool's numbers are the trial's"


@pytest.mark.parametrize(
    ("pool", "counted"),
    [
        ([], (None, None, None)),
        ([sample(0.0), sample(1.0)], (None, None, None)),
        ([sample(0.0, connects=0, connects_failed=0, pings_failed=0)], (0, 0, 0)),
        (
            [sample(-1.0, connects=5, connects_failed=0, pings_failed=0),
             sample(1.0, connects=7, connects_failed=2, pings_failed=5),
             sample(1.0, instance=1, connects=1, connects_failed=30, pings_failed=0)],
            (8, 32, 5),
        ),
    ],
)  # fmt: skip
def test_counters_are_added_up_over_the_instances(
    pool: list[dict[str, Any]], counted: tuple[int | None, int | None, int | None]
) -> None:
    found = summary(pool=pool)
    assert (found.connects, found.connects_failed, found.pings_failed) == counted


@pytest.mark.parametrize(
    ("patience_s", "within"), [(None, None), (0.5, 0), (1.0, 1), (5.0, 4), (9.0, 8), (100.0, 8)]
)  # fmt: skip
def test_an_answer_that_comes_exactly_in_time_is_in_time(patience_s: float | None, within: int | None) -> None:
    found = summary(in_bursts(), of=trial(patience_s=patience_s))
    assert found.answered_within == within
    assert found.unanswered == (1 if within is None else 9 - within)
    assert (found.to_row()["patience_s"], found.to_json()["answered_within"]) == (patience_s, within)


def test_what_was_waited_is_added_up_over_the_requests() -> None:
    rows = [request(0, checkout_s=1.5), request(1, checkout_s=None), request(2, checkout_s=0.25)]
    assert (summary(rows).waited_s, summary([]).waited_s) == (1.75, 0.0)


def test_an_attempt_of_the_listener_ends_in_a_connection_or_in_none() -> None:
    names = ("connected", "heartbeat_failed", "disconnected", "reconnecting", "connect_failed", "connected", "notified")
    found = summary(events=[event(float(at_s), f"listener_{name}") for at_s, name in enumerate(names)])
    assert found.listener_attempts == 3


def waiting(*counts: int, instance: int = 0, connecting: int = 0) -> list[dict[str, Any]]:
    """A sample a second, from a second before the burst on."""
    return [
        sample(at_s - 1.0, waiting=count, connecting=connecting if count else 0, instance=instance)
        for at_s, count in enumerate(counts)
    ]


@pytest.mark.parametrize(
    ("pool", "events", "recovered_after_s"),
    [
        # Nothing woke: an overload, or a slow database.
        (waiting(0, 3, 0, 2, 0, 0), [], 3.0),
        (waiting(0, 3, 0, 2, 0, 0), [event(0.0, "slow")], 3.0),
        (waiting(0, 0, 0), [], None),
        (waiting(7, 0, 0), [], None),  # while the pool was warmed, which is no overload
        (waiting(0, 3, 2), [], None),
        ([], [], None),
        ([*waiting(0, 3, 0, 0), sample(3.0, connecting=1), sample(4.0)], [], 4.0),
        ([sample(0.0, connecting=1), sample(1.0)], [], None),  # connecting alone keeps nobody waiting
        # Of two instances the one that takes longer, of which nobody has to wait at all.
        ([*waiting(0, 3, 0, 0, 0), *waiting(0, 1, 1, 1, 0, instance=1)], [], 3.0),
        ([*waiting(0, 3, 0, 0, 0), *waiting(0, 0, 0, 0, 0, instance=1)], [], 1.0),
        ([*waiting(0, 3, 0, 0, 0), *waiting(0, 1, 1, 1, 1, instance=1)], [], None),
        # After a wake, and after an outage: the first calm moment, whatever comes later.
        (waiting(0, 3, 0, 2, 0, 0), [event(0.0, "first_attempt"), event(0.5, "woken")], 1.0),
        (waiting(0, 3, 0, 2, 0, 0), [event(0.0, "outage"), event(2.5, "woken")], 3.0),
        (waiting(0, 0, 0, 0), [event(0.0, "first_attempt"), event(0.5, "woken")], 1.0),
        # A database that did not come back: nobody waits any more, and nothing has recovered.
        (waiting(0, 3, 0, 0), [event(0.0, "first_attempt")], None),
        (waiting(0, 3, 0, 0), [event(0.0, "outage")], None),
        # One that slept, and nobody asked.
        (waiting(0, 3, 0, 0), [event(2.0, "suspended")], 1.0),
    ],
)  # fmt: skip
def test_recovery_is_when_nobody_waits_any_more(
    pool: list[dict[str, Any]], events: list[dict[str, Any]], recovered_after_s: float | None
) -> None:
    assert summary(pool=pool, events=events).recovered_after_s == recovered_after_s


def verdict(expected: Expectation, rows: Sequence[Mapping[str, Any]], **story: Any) -> tuple[Verdict, str]:
    scenario = Scenario(
        name="told", wake=WAKE, pools=("5+0",), timeline=TIMELINE, expect={"5+0": expected}, control=False, **story
    )
    plan = PlannedRun(scenario=scenario)
    (found,) = judge(plan, [summary(rows, of=plan.trials[0])])
    return found.verdict, found.why


REPRODUCED, FAILED, UNKNOWN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (none("failure"), (FAILED, "ok 8, pool_timeout 1")),
        (none("failure").in_burst(1), (REPRODUCED, "ok 3")),
        (none("failure").in_burst(2), (FAILED, "ok 3, pool_timeout 1")),
        (none("failure").on_instance(0), (REPRODUCED, "ok 5")),
        (none("failure").on_instance(1), (FAILED, "ok 3, pool_timeout 1")),
        (latency_p95_at_most(2).in_burst(0), (REPRODUCED, "ok 2")),
        (latency_p95_at_most(2).in_burst(1), (FAILED, "ok 3")),
        (answered_within(9, 8 / 9), (REPRODUCED, "8 of 9 answered within 9 s")),
        (answered_within(9), (FAILED, "8 of 9 answered within 9 s")),
        (answered_within(5, 1.0).in_burst(0), (REPRODUCED, "2 of 2 answered within 5 s")),
        (answered_within(5, 2 / 3).in_burst(1), (REPRODUCED, "2 of 3 answered within 5 s")),
        (answered_within(5, 0.67).in_burst(1), (FAILED, "2 of 3 answered within 5 s")),
        (that("one", lambda seen: seen.requests == 1).in_burst(0).on_instance(1), (REPRODUCED, "ok 1")),
    ],
    ids=str,
)
def test_an_expectation_is_judged_on_its_part(expected: Expectation, found: tuple[Verdict, str]) -> None:
    assert verdict(expected, in_bursts(), instances=2) == found


@pytest.mark.parametrize("outcome", ["ok", "pool_timeout"])
def test_all_or_none_of_the_requests_can_be_answered(outcome: str) -> None:
    rows = [request(number, outcome=outcome, burst=burst) for number, burst in enumerate(BURSTS)]
    assert verdict(answered_within(5), rows)[0] is (REPRODUCED if outcome == "ok" else FAILED)


def test_what_is_expected_of_no_request_is_unknown() -> None:
    # The seventh of the instances gets none of the first burst's two requests.
    found = verdict(none("failure").in_burst(0).on_instance(6), in_bursts(), instances=7)
    assert found == (UNKNOWN, "no request was made in burst 0 on instance 6")
    assert verdict(latency_p95_at_most(1), [])[0] is UNKNOWN


def test_a_summary_without_rows_has_no_parts() -> None:
    whole = summary(in_bursts())
    bare = type(whole)(**{
        name: getattr(whole, name) for name in whole.__dataclass_fields__ if name != "part_of"
    })  # fmt: skip
    assert "bursts" not in bare.to_json()
    with pytest.raises(ValueError, match="without the trial's rows"):
        bare.part(Part(burst=0))
