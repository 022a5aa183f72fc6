"""Verdicts on objectives: over all seeds together, per configuration and wake; unknown is never a pass."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.checks import Checked, Gate, counted
from harness.gate.fail_if import Failing, failing, read_conditions
from harness.gate.verdict import Judged, Verdict, judge, worst
from harness.model.errors import UserError
from harness.model.objective import read_objective
from harness.model.outcomes import Outcome
from harness.model.patience import Patience
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, Variant
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.trial import Trial
from harness.model.wake import profile, read_wake

STORY = Scenario(
    name="judged",
    wake=(profile("neon", latency_s=8.0), profile("neon", latency_s=12.0)),
    pools=("5+0", "10+5"),
    timeline=(Warm(), Suspend(), Burst(requests=10, over_s=2)),
)
MET, MISSED, UNKNOWN = Verdict.MET, Verdict.MISSED, Verdict.UNKNOWN


def plan(scenario: Scenario = STORY, *, repeat: int = 1, **changes: object) -> PlannedRun:
    return PlannedRun(scenario=scenario, overrides=Overrides(repeat=repeat, **changes))  # type: ignore[arg-type]


def summary(trial: Trial, latencies_s: Sequence[float] = (1.0,) * 10, failed: int = 0) -> TrialSummary:
    """A trial of these latencies, of which the first `failed` are of failures."""
    return TrialSummary(
        trial=trial, requests=len(latencies_s),
        outcomes={Outcome.OK: len(latencies_s) - failed, Outcome.POOL_TIMEOUT: failed},
        latency_s={}, checkout_wait_s={}, peak_checked_out=1, peak_waiting=0, woke_after_s=None,
        recovered_after_s=None, utilization_alert_s=None, first_failure_s=None, wall_s=1.0,
        latencies_s=latencies_s, ok_latencies_s=sorted(latencies_s[failed:]),
    )  # fmt: skip


def judged(
    texts: Sequence[str], summaries: Sequence[TrialSummary], of: PlannedRun, patience_s: float = 30
) -> list[Judged]:
    objectives = [read_objective(text) for text in texts]
    return judge(objectives, of.trials, summaries, patience=Patience(patience_s, "a test's"))


def test_there_is_a_verdict_for_each_objective_configuration_and_wake_and_none_for_controls() -> None:
    of = plan()
    found = judged(["failed<1%", "max<2s"], [summary(trial) for trial in of.trials], of)
    assert [(one.wake, one.configuration, str(one.objective)) for one in found] == [
        (wake, pool, objective)
        for wake in ("wake 8 s", "wake 12 s")
        for pool in ("5+0", "10+5")
        for objective in ("failed<1%", "max<2s")
    ]
    assert {one.verdict for one in found} == {MET}
    assert {one.seeds for one in found} == {1}


def test_all_seeds_together_decide_and_each_is_counted() -> None:
    of = plan(repeat=4, wakes=(read_wake("8", where="a test"),))
    # Of 40 requests one fails with each pool, all of it in the first seed.
    summaries = [summary(trial, failed=int(trial.seed == 1)) for trial in of.trials]
    for text, verdict, missed_in in (("failed<3%", MET, 1), ("failed<2.5%", MISSED, 1), ("failed<=2.5%", MET, 1)):
        for one in judged([text], summaries, of):
            assert (one.verdict, one.missed_in, one.seeds, one.requests) == (verdict, missed_in, 4, 40)
            assert one.value == pytest.approx(0.025)
            assert one.seeds_missed == "1 of 4"
            assert "it is 2.5% (1 of 40); missed in 1 of 4 seeds" in one.sentence


def test_a_percentile_is_that_of_all_requests_and_no_mean_of_percentiles() -> None:
    of = plan(repeat=2, wakes=(read_wake("8", where="a test"),))
    summaries = [summary(trial, [1.0] * 10 if trial.seed == 1 else [3.0] * 30) for trial in of.trials]
    (first, _) = judged(["p(50)<2.5s"], summaries, of)
    assert (first.value, first.verdict, first.missed_in) == (3.0, MISSED, 1)


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        ({"complete": False}, "a trial was cut short"),
        ({"kept_schedule": False}, "the load generator did not keep its schedule"),
        ({"not_played": {"a thread": 1}}, "the application did what virtual time can't play"),
    ],
)
def test_what_is_no_measurement_is_unknown_though_it_would_be_met_or_missed(
    spoiled: dict[str, object], why: str
) -> None:
    of = plan(repeat=2)
    for failed in (0, 10):
        summaries = [summary(trial, failed=failed) for trial in of.trials]
        # One of its two seeds, with one of the pools, at one of the wakes.
        place = next(at for at, one in enumerate(summaries) if one.trial.wake_latency_s == 8 and one.trial.seed == 2)
        summaries[place] = replace(summaries[place], **spoiled)  # type: ignore[arg-type]
        found = judged(["failed<1%"], summaries, of)
        unknown = [one for one in found if one.verdict is UNKNOWN]
        assert [(one.wake, one.configuration, one.why) for one in unknown] == [("wake 8 s", "5+0", why)]
        assert math.isnan(unknown[0].value)
        assert (unknown[0].measured, unknown[0].seeds_missed, unknown[0].in_seeds) == ("–", "–", "")
        assert unknown[0].sentence == f"5+0, wake 8 s: failed<1% is unknown: {why}"
        assert unknown[0].to_json()["value"] is None
        assert {one.verdict for one in found} == {UNKNOWN, MISSED if failed else MET}


def test_what_was_not_played_is_unknown() -> None:
    of = plan(repeat=2)
    assert {one.why for one in judged(["failed<1%"], [], of)} == {"not played"}
    half = [summary(trial) for trial in of.trials if trial.seed == 1]
    assert {(one.verdict, one.why) for one in judged(["failed<1%"], half, of)} == {(UNKNOWN, "1 of 2 seeds not played")}
    none = [summary(trial, []) for trial in of.trials]
    assert {(one.verdict, one.why) for one in judged(["failed<1%"], none, of)} == {(UNKNOWN, "no request was made")}


def test_an_answer_after_the_patience_is_none_and_each_variant_has_its_own() -> None:
    slow = replace(STORY, patience_s=5.0, variants=(Variant("patient", patience_s=20.0), Variant("as it is")))
    of = plan(slow)
    summaries = [summary(trial, [10.0] * 10) for trial in of.trials]
    found = judge([read_objective("failed<1%")], of.trials, summaries)
    verdicts = {(one.configuration, one.verdict, one.patience.seconds) for one in found}
    assert ("5+0 (patient)", MET, 20.0) in verdicts
    assert ("5+0 (as it is)", MISSED, 5.0) in verdicts
    assert {one.verdict for one in judged(["failed<1%"], summaries, of, patience_s=9)} == {MISSED}


@given(
    failures=st.lists(st.integers(0, 10), min_size=1, max_size=8),
    limit=st.integers(0, 100),
    relation=st.sampled_from(["<=", ">="]),
)
def test_any_seeds_are_judged_as_one_trial_of_all_their_requests(
    failures: list[int], limit: int, relation: str
) -> None:
    of = plan(repeat=len(failures), wakes=(read_wake("8", where="a test"),), control=False)
    summaries = [summary(trial, failed=failures[trial.seed - 1]) for trial in of.trials]
    share = sum(failures) / (10 * len(failures))

    def fits(percent: float) -> bool:
        return percent <= limit if relation == "<=" else percent >= limit

    for one in judged([f"failed{relation}{limit}%"], summaries, of):
        # In whole requests, so that no float decides.
        assert (one.verdict is MET) == fits(sum(failures) * 10 / len(failures))
        assert one.value == pytest.approx(share)
        assert one.missed_in == sum(not fits(10 * failed) for failed in failures)
        assert f"({sum(failures)} of {10 * len(failures)})" in one.sentence


def test_the_worst_verdict_counts_and_nothing_judged_is_no_pass() -> None:
    assert worst([MET, UNKNOWN, MISSED]) is MISSED
    assert worst([MET, UNKNOWN]) is UNKNOWN
    assert worst([MET]) is MET
    assert worst([]) is UNKNOWN
    assert counted([]) == "nothing was judged"


def gate(*verdicts: Verdict, statuses: Sequence[int] = (0,)) -> Gate:
    of = plan()
    (one, *_) = judged(["failed<1%"], [summary(trial) for trial in of.trials], of)
    each = tuple(replace(one, verdict=verdict) for verdict in verdicts)
    return Gate(
        "coldstart.toml",
        tuple(
            Checked(name="a", line=1, title="judged", stack="simulated", judged=each, exit_status=status)
            for status in statuses
        ),
    )


@pytest.mark.parametrize(
    ("verdicts", "statuses", "exit_status", "headline"),
    [
        ([MET, MET], [0], 0, "all 2 met in 1 check"),
        ([MET], [0], 0, "1 met in 1 check"),
        ([MISSED], [0], 4, "1 missed in 1 check"),
        ([MET, MISSED, UNKNOWN], [0], 4, "1 missed, 1 unknown, 1 met in 1 check"),
        ([UNKNOWN, MET], [0], 5, "1 unknown, 1 met in 1 check"),
        ([], [0], 5, "nothing was judged in 1 check"),
        ([MISSED], [0, 3], 3, "all 2 missed in 2 checks"),
        ([UNKNOWN], [3, 130], 130, "all 2 unknown in 2 checks"),
    ],
)
def test_the_exit_status_says_the_worst_of_all_checks(
    verdicts: list[Verdict], statuses: list[int], exit_status: int, headline: str
) -> None:
    found = gate(*verdicts, statuses=statuses)
    assert (found.exit_status, found.headline) == (exit_status, headline)


def test_a_condition_is_the_opposite_of_an_objective() -> None:
    of = plan()
    summaries = [summary(trial, failed=2 if trial.pool.short == "5+0" and trial.wake else 0) for trial in of.trials]
    assert failing(read_conditions(["failed>20%", "p(95)>2s"]), of.trials, summaries) == Failing()
    found = failing(read_conditions(["failed>1%"]), of.trials, summaries)
    assert found.exit_status == 4
    assert found.lines == (
        "--fail-if failed>1%: 5+0, wake 8 s: it is 20% (2 of 10), an answer after 30 s counted as none",
        "--fail-if failed>1%: 5+0, wake 12 s: it is 20% (2 of 10), an answer after 30 s counted as none",
    )
    assert failing((), of.trials, []) == Failing()


def test_a_condition_of_which_nothing_is_known_is_no_pass() -> None:
    of = plan()
    conditions = read_conditions(["failed>1%"])
    late = [replace(summary(trial), kept_schedule=False) for trial in of.trials]
    found = failing(conditions, of.trials, late)
    assert found.exit_status == 5
    assert found.lines[0].startswith("--fail-if failed>1%: 5+0, wake 8 s: unknown, the load generator did not keep")
    controls = [trial for trial in of.trials if trial.is_control]
    found = failing(conditions, controls, [summary(trial) for trial in controls])
    assert (found.exit_status, len(found.lines)) == (5, 1)
    assert "only controls were played" in found.lines[0]


@pytest.mark.parametrize(
    ("own", "found", "together"),
    [(0, 0, 0), (0, 4, 4), (0, 5, 5), (1, 0, 1), (1, 4, 4), (1, 5, 1), (3, 4, 3), (130, 4, 130), (130, 0, 130)],
)
def test_the_runs_own_status_is_kept_where_it_says_more(own: int, found: int, together: int) -> None:
    assert Failing((), found).exit_status_after(own) == together
    assert (Failing(("a",), 5) + Failing(("b",), found)).exit_status == (4 if found == 4 else 5)


def test_a_condition_that_cant_be_read_names_its_option() -> None:
    with pytest.raises(UserError, match="--fail-if: 'failed' is not an objective"):
        read_conditions(["failed"])
