"""Verdicts: what a user changed makes an expectation unknown, and only that; unknown is never a pass."""

import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.analysis.judge import judge
from harness.cli.run_output import VERDICT_STYLES, verdicts
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.compute import OnSuspend
from harness.model.expectation import Judgement, Verdict
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.retry import Retry
from harness.model.scenario import RealTime, Scenario, Variant, pool
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.times import Calibration
from harness.model.trial import Trial
from harness.model.wake import profile, read_wake
from harness.scenario import at_least, none, that

PATIENT = pool("5+0", pool_timeout=30)
STORY = Scenario(
    name="two_wakes",
    wake=(profile("neon", latency_s=8.0), profile("neon", latency_s=12.0)),
    pools=(PATIENT, "10+5", "15+5"),
    timeline=(Warm(), Suspend(), Burst(requests=10, over_s=2)),
    expect={
        PATIENT: (none("failure").at_wake(8), none("pool_timeout").at_wake(12)),
        "10+5": none("failure"),
    },
)
REPRODUCED, UNKNOWN, FAILED = Verdict.REPRODUCED, Verdict.UNKNOWN, Verdict.NOT_REPRODUCED
MEASURED = Calibration(round_trip_s=(0.1,), service_s=(0.1,), connect_s=(0.1,), source="a test")
SHORT = PoolConfiguration.from_short


def summary(trial: Trial, *, failed: int = 0, complete: bool = True, kept_schedule: bool = True) -> TrialSummary:
    return TrialSummary(
        trial=trial, requests=10, outcomes={Outcome.OK: 10 - failed, Outcome.POOL_TIMEOUT: failed},
        latency_s={"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0}, checkout_wait_s={}, peak_checked_out=1,
        peak_waiting=0, woke_after_s=None, recovered_after_s=None, utilization_alert_s=None, first_failure_s=None,
        wall_s=1.0, complete=complete, kept_schedule=kept_schedule,
    )  # fmt: skip


def judged(
    scenario: Scenario = STORY, *, real_time: bool = False, failed: int = 0, **overrides: Any
) -> list[Judgement]:
    plan = PlannedRun(scenario=scenario, overrides=Overrides(**overrides), real_time=real_time)
    return judge(plan, [summary(trial, failed=0 if trial.is_control else failed) for trial in plan.trials])


@pytest.mark.parametrize(
    ("overrides", "verdicts"),
    [
        # The file's own story, whole or in part:
        ({}, [REPRODUCED, REPRODUCED, REPRODUCED]),
        ({"seed": 9, "repeat": 2, "control": False}, [REPRODUCED, REPRODUCED, REPRODUCED]),
        ({"pools": (PATIENT,)}, [REPRODUCED, REPRODUCED]),
        ({"pools": (SHORT("10+5"),)}, [REPRODUCED]),
        ({"pools": (pool("10+5", pool_timeout=10),)}, [REPRODUCED]),
        ({"pools": (SHORT("15+5"),)}, []),
        ({"wakes": (read_wake("8"),)}, [REPRODUCED, REPRODUCED]),
        ({"wakes": (read_wake("neon:12"),)}, [REPRODUCED, REPRODUCED]),
        ({"requests": 10, "over_s": 2.0, "settings": {"connection_timeout": "10"}}, [REPRODUCED] * 3),
        # Another story:
        ({"wakes": (read_wake("1"),)}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"wakes": (read_wake("neon"),)}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"on_suspend": OnSuspend.FREEZE}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"service_time_s": 0.1}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"connect_time_s": 0.1}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"calibration": MEASURED}, [UNKNOWN] * 3),
        ({"settings": {"statement_timeout": "3"}}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"requests": 11}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ({"warm": 0}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        # Some of both: what is the file's is judged, whatever else is played.
        ({"wakes": (read_wake("8"), read_wake("1"))}, [REPRODUCED, UNKNOWN, REPRODUCED]),
        # This leaves the patient pool as it is, and makes others of the rest.
        ({"settings": {"pool_timeout": "30"}}, [REPRODUCED, REPRODUCED, UNKNOWN]),
        ({"pools": (SHORT("10+5"), SHORT("7+3"))}, [REPRODUCED, UNKNOWN]),
        ({"pools": (SHORT("7+3"), SHORT("8+3"))}, [UNKNOWN]),
        ({"pools": (SHORT("7+3"),), "control": False}, [UNKNOWN]),
        ({"pools": (SHORT("7+3"),), "settings": {"pool_timeout": "5"}}, [UNKNOWN]),
    ],
    ids=str,
)  # fmt: skip
def test_an_expectation_is_judged_where_its_story_is_the_files_own(
    overrides: dict[str, Any], verdicts: list[Verdict]
) -> None:
    assert [judgement.verdict for judgement in judged(**overrides)] == verdicts


def test_an_unknown_names_what_was_changed() -> None:
    (*_, last) = judged(wakes=(read_wake("1"),), requests=7)
    assert last.why == "the story was changed: wake=1, requests=7"


def test_pools_that_the_file_does_not_have_are_named_once() -> None:
    few = judged(pools=(SHORT("7+3"), SHORT("8+3"), SHORT("9+3")))
    many = judged(pools=tuple(SHORT(f"{size}+7") for size in range(1, 30)))
    assert [(one.pool, one.statement) for one in few] == [("7+3, 8+3, 9+3", "nothing: the file has no such pool")]
    assert [(one.pool, one.why) for one in many] == [("29 pools", "the story was changed: 29 pools of its own")]


def test_a_changed_story_that_fails_is_unknown_and_the_files_own_is_not_reproduced() -> None:
    assert {one.verdict for one in judged(failed=5, wakes=(read_wake("1"),))} == {UNKNOWN}
    assert {one.verdict for one in judged(failed=5)} == {FAILED}


def test_a_judgement_names_its_pool_and_what_was_expected_of_it() -> None:
    expected = [
        ("5+0 pool_timeout=30", "no failed request at a wake of 8 s"),
        ("5+0 pool_timeout=30", "no pool_timeout at a wake of 12 s"),
        ("10+5", "no failed request"),
    ]
    assert [(found.pool, found.statement) for found in judged()] == expected
    assert [(found.pool, found.statement) for found in judged(wakes=(read_wake("1"),))] == expected


def test_only_the_failing_trials_say_why() -> None:
    plan = PlannedRun(scenario=STORY, overrides=Overrides(pools=(SHORT("10+5"),)))
    summaries = [summary(trial, failed=3 if trial.wake_latency_s == 12 else 0) for trial in plan.trials]
    (found,) = judge(plan, summaries)
    assert (found.verdict, found.why) == (FAILED, "ok 7, pool_timeout 3")
    (every,) = judge(plan, [summary(trial, failed=3) for trial in plan.trials])
    assert every.why == "ok 7, pool_timeout 3; ok 7, pool_timeout 3"


def test_what_was_cut_short_or_late_is_unknown_whatever_its_numbers() -> None:
    plan = PlannedRun(scenario=STORY)
    doubts = {"complete": "a trial was cut short", "kept_schedule": "the load generator did not keep its schedule"}
    for doubt, why in doubts.items():
        for failed in (0, 5):
            found = judge(plan, [summary(trial, failed=failed, **{doubt: False}) for trial in plan.trials])
            assert [(one.verdict, one.why) for one in found] == [(UNKNOWN, why)] * 3


def test_a_variant_that_the_changes_leave_alone_is_judged() -> None:
    varied = replace(
        STORY,
        variants=(Variant("once"), Variant("small", timeline=(Warm(0), Suspend(), Burst(requests=5, over_s=2)))),
        expect={"10+5": (none("failure").in_variant("once"), none("failure").in_variant("small"))},
    )
    # Five is what the second variant has anyway.
    assert [one.verdict for one in judged(varied, requests=5)] == [UNKNOWN, REPRODUCED]
    assert [one.verdict for one in judged(replace(varied, retry=Retry(retries=1)))] == [REPRODUCED, REPRODUCED]


def test_what_is_expected_of_a_variant_that_was_not_played_is_left_out() -> None:
    varied = replace(
        STORY,
        variants=(Variant("once"), Variant("retried", retry=Retry(retries=1))),
        expect={"10+5": (none("failure").in_variant("once"), none("failure").in_variant("retried"))},
    )
    plan = PlannedRun(scenario=varied, overrides=Overrides(requests=7))
    found = judge(plan, [summary(trial) for trial in plan.trials if trial.variant == "retried"])
    assert [(one.statement, one.verdict) for one in found] == [("no failed request, retried", UNKNOWN)]


def test_where_time_is_real_the_shortened_story_is_the_files_own() -> None:
    shortened = replace(
        STORY,
        real_time=RealTime(
            "short", wake=profile("neon", latency_s=1.0), expect={"10+5": at_least("pool_timeout", count=1)}
        ),
    )  # fmt: skip
    assert [one.verdict for one in judged(shortened, real_time=True, failed=1)] == [REPRODUCED]
    assert [one.verdict for one in judged(shortened, real_time=True, failed=1, wakes=(read_wake("8"),))] == [UNKNOWN]
    assert len(judged(shortened)) == 3


def test_what_a_file_expects_of_the_service_is_not_judged_with_another_application() -> None:
    request = ApplicationRequest(name="read_item", target="/items/{key}")
    shop = Application(app="shop:app", mix=RequestMix(((request, 1.0),)))
    assert judged(application=shop, failed=1) == judged(application=shop) == []
    assert [one.verdict for one in judged()] == [REPRODUCED] * 3


def test_a_reader_sees_the_numbers_that_an_expectation_asks_for() -> None:
    few = that("few wait", lambda found: found.peak_waiting < 5, shows=lambda found: f"{found.peak_waiting} waited")
    (own,) = judged(replace(STORY, expect={"10+5": few.at_wake(8)}))
    (usual,) = judged(replace(STORY, expect={"10+5": none("failure").at_wake(8)}))
    assert (own.why, own.shown) == ("0 waited", True)
    assert (usual.why, usual.shown) == ("ok 10, pool_timeout 0", False)


@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([{}, {"requests": 11}, {"warm": 0}]),
)
def test_unknown_is_never_a_pass(trials: list[tuple[int, bool, bool]], overrides: dict[str, int]) -> None:
    expected = replace(STORY, expect={"10+5": none("failure").at_wake(8)})
    plan = PlannedRun(scenario=expected, overrides=Overrides(repeat=len(trials), **overrides))  # type: ignore[arg-type]
    met = [trial for trial in plan.trials if trial.pool.short == "10+5" and trial.wake_latency_s == 8]
    summaries = [
        summary(trial, failed=failed, complete=complete, kept_schedule=kept)
        for trial, (failed, complete, kept) in zip(met, trials, strict=True)
    ]
    (judgement,) = judge(plan, summaries)
    known = not overrides and all(complete and kept for _, complete, kept in trials)
    assert (judgement.verdict is not UNKNOWN) == known
    assert (judgement.verdict is REPRODUCED) == (known and all(failed == 0 for failed, _, _ in trials))
    assert judgement.why, "whatever it is, a reader is told why"


@pytest.mark.parametrize("known", list(Verdict))
def test_only_what_was_reproduced_looks_like_a_pass(known: Verdict) -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(verdicts([Judgement("5+0", "no pool_timeout", known, "a trial was cut short")]))
    assert isinstance(console.file, io.StringIO)
    assert (VERDICT_STYLES[known] == "green") == (known is REPRODUCED)
    assert ("a trial was cut short" in console.file.getvalue()) == (known is not REPRODUCED)
