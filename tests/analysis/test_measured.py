"""Which trials of a run are no measurement, told from its files: each by itself, and all beside each other."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import Run, load
from harness.analysis.charts.paper import notes
from harness.analysis.compare import compare
from harness.analysis.decision import Decision, decide
from harness.analysis.findings import findings
from harness.analysis.judge import no_measurement
from harness.analysis.measured import beside_each_other, by_reason, disturbances
from harness.model.arrivals import RequestMix
from harness.model.doubt import Component, Doubt, Reason
from harness.model.exit_status import EXIT_INTERRUPTED, EXIT_NOT_REPRODUCED, EXIT_UNKNOWN
from harness.model.expectation import Judgement, Verdict
from harness.model.outcomes import Outcome
from harness.model.part import Part
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.run import FinishedRun

SAMPLE = Path(__file__).parent.parent.parent / "results" / "sample" / "embedded"
STORY = Scenario(
    name="any",
    wake=profile("neon", latency_s=8.0),
    pools=("5+0", "10+5"),
    timeline=(Warm(), Suspend(), Burst(requests=10, over_s=2)),
)
TRIALS = list(PlannedRun(scenario=STORY, overrides=Overrides(), real_time=True).trials)
SLEEPING = [trial for trial in TRIALS if not trial.is_control]
CONTROLS = [trial for trial in TRIALS if trial.is_control]


def summary(trial: Trial, *, began_at_s: float | None = 1000.0, p50_s: float = 0.01, **changed: Any) -> TrialSummary:
    return TrialSummary(
        trial=trial, requests=10, outcomes={Outcome.OK: 10}, latency_s={"p50": p50_s, "max": p50_s}, checkout_wait_s={},
        peak_checked_out=1, peak_waiting=0, woke_after_s=None, recovered_after_s=None, utilization_alert_s=None,
        first_failure_s=None, wall_s=1.0, began_at_s=began_at_s, **changed,
    )  # fmt: skip


def stalled(part: str, at_s: float, for_s: float) -> dict[str, Any]:
    return {"event": "stalled", "at_s": at_s, "value_s": for_s, "detail": json.dumps({"part": part})}


def reasons(one: TrialSummary) -> list[Reason]:
    return [doubt.reason for doubt in one.doubts]


@pytest.mark.parametrize("part", list(Component))
def test_the_longest_stall_of_each_part_counts_if_it_is_longer_than_the_bound(part: Component) -> None:
    events = [stalled(part, 1.0, 0.7), stalled(part, 3.0, 2.0), stalled(part, 9.0, 0.4)]
    (doubt,) = disturbances(SLEEPING[0], events)
    assert (doubt.value, doubt.bound, doubt.at_s) == (2.0, 0.5, 3.0)
    assert disturbances(SLEEPING[0], [stalled(part, 9.0, 0.5)]) == ()


def test_a_stall_that_was_over_before_the_burst_changes_nothing() -> None:
    assert disturbances(SLEEPING[0], [stalled("service", -3.0, 2.9)]) == ()
    assert len(disturbances(SLEEPING[0], [stalled("service", -3.0, 3.1)])) == 1


def test_a_restart_counts_whenever_it_was_and_once() -> None:
    events: list[dict[str, Any]] = [
        {"event": "restarted", "at_s": at_s, "value_s": None, "detail": None} for at_s in (-1.0, 2.0)
    ]
    (doubt,) = disturbances(SLEEPING[0], events)
    assert (doubt.reason, doubt.at_s) == (Reason.POSTGRES_RESTARTED, -1.0)


def test_wakes_that_meet_are_counted_together_and_others_are_not() -> None:
    first, second = SLEEPING
    at_once = [summary(first, releases=[(8.0, 200)]), summary(second, releases=[(8.0, 130)])]
    for one in beside_each_other(at_once, cores=2):
        (doubt,) = one.doubts
        assert (doubt.reason, doubt.value, doubt.bound) == (Reason.RELEASED_TOO_MANY, 330, 320)
    assert all(one.is_measurement for one in beside_each_other(at_once, cores=4))
    apart = [at_once[0], replace(at_once[1], began_at_s=1000.5)]
    assert all(one.is_measurement for one in beside_each_other(apart, cores=2))


def test_one_trial_can_be_too_large_by_itself() -> None:
    (one,) = beside_each_other([summary(SLEEPING[0], releases=[(8.0, 800)])], cores=2)
    assert reasons(one) == [Reason.RELEASED_TOO_MANY]
    said = " ".join(findings([one]))
    assert "more requests were released at once than this machine serves, 800, and 320 is what it serves." in said


def test_virtual_time_serves_any_number_at_once() -> None:
    summaries = [summary(trial, began_at_s=None, releases=[(8.0, 10_000)], p50_s=5.0) for trial in TRIALS]
    assert beside_each_other(summaries, cores=1) == summaries


def test_a_control_that_is_not_calm_marks_what_is_compared_with_it_and_no_other_pool() -> None:
    loud = CONTROLS[0]
    summaries = [summary(trial, p50_s=9.7 if trial is loud else 0.01) for trial in TRIALS]
    found = beside_each_other(summaries, cores=2)
    marked = [one.trial for one in found if reasons(one) == [Reason.NOT_CALM]]
    assert len(marked) == 2
    assert {trial.configuration for trial in marked} == {loud.configuration}
    assert no_measurement(found) == "its control was not calm"
    assert all(
        one.is_measurement for one in beside_each_other([summary(trial, p50_s=1.0) for trial in TRIALS], cores=2)
    )


def test_what_takes_long_by_itself_has_no_bound() -> None:
    holding = replace(STORY, timeline=(Burst(10, 2.0, mix=RequestMix.of({"hold_connection": 1}, hold_s=3.0)),))
    trials = PlannedRun(scenario=holding, overrides=Overrides(), real_time=True).trials
    assert all(one.is_measurement for one in beside_each_other([summary(one, p50_s=9.0) for one in trials], cores=2))


def test_a_part_of_a_marked_trial_is_marked_too() -> None:
    whole = summary(SLEEPING[0], part_of=lambda _: summary(SLEEPING[0]), releases=[(8.0, 800)])
    (marked,) = beside_each_other([whole], cores=1)
    assert reasons(marked.part(Part(burst=0))) == [Reason.RELEASED_TOO_MANY]


def test_the_reasons_are_in_the_files_by_their_names() -> None:
    one = replace(
        summary(SLEEPING[0]), kept_schedule=False, disturbances=disturbances(SLEEPING[0], [stalled("proxy", 1.0, 2.0)])
    )
    assert one.to_json()["doubts"] == ["late_load", "proxy_stalled"]
    assert one.to_row()["doubts"] == "late_load proxy_stalled"
    assert summary(SLEEPING[0]).to_json()["doubts"] == []
    assert summary(SLEEPING[0]).to_row()["doubts"] is None
    assert list(by_reason([one])) == [Reason.LATE_LOAD, Reason.PROXY_STALLED]


def disturbed_sample() -> Run:
    """The embedded sample, with its 10+5 at 12 s disturbed."""
    run = load(SAMPLE)
    crash = Doubt(Reason.POSTGRES_RESTARTED, at_s=2.0)
    run.__dict__["summaries"] = [
        replace(one, disturbances=(crash,))
        if (one.trial.configuration, one.trial.wake_latency_s) == ("10+5", 12.0)
        else one
        for one in run.summaries
    ]
    return run


def test_charts_and_comparisons_name_the_marked_trials() -> None:
    run = disturbed_sample()
    assert "No measurement (!): 10+5 at wake 12 s." in list(notes([run], lines=True, first_seed=False))
    assert not any("(!)" in note for note in notes([load(SAMPLE)], lines=True, first_seed=False))
    (doubt,) = [one for one in compare([run]).doubts if "PostgreSQL crashed" in one]
    assert doubt.startswith("embedded: in 1 trial (10+5 at wake 12 s) PostgreSQL crashed or was restarted; not a meas")
    assert doubt.endswith("run it again.")


def test_what_to_set_is_not_decided_by_it_and_the_findings_say_why() -> None:
    run = disturbed_sample()
    # The whole run is not decided by what crashed, nor is it hidden.
    text = " ".join(decide(run).sentences)
    assert "in 1 of 10 trials PostgreSQL crashed or was restarted" in text
    page = " ".join(findings(run.summaries))
    assert "Not a measurement (!): (10+5, wake 12 s), because PostgreSQL crashed or was restarted, 2.0 s after" in page


@pytest.mark.parametrize(
    ("disturbed", "verdict", "status"),
    [
        (False, Verdict.REPRODUCED, 0),
        (True, Verdict.REPRODUCED, EXIT_UNKNOWN),
        (True, Verdict.UNKNOWN, EXIT_UNKNOWN),
        (False, Verdict.UNKNOWN, 0),
        (True, Verdict.NOT_REPRODUCED, EXIT_NOT_REPRODUCED),
    ],
)
def test_a_run_with_a_trial_that_is_no_measurement_ends_as_unknown(
    disturbed: bool, verdict: Verdict, status: int
) -> None:
    one = summary(SLEEPING[0], disturbances=(Doubt(Reason.SERVICE_STALLED, 3.0, 0.5, 1.0),) if disturbed else ())
    done = FinishedRun(
        id="a", folder=Path("a"), stack="embedded", plan=PlannedRun(scenario=STORY), status=RunStatus.COMPLETE,
        summaries=[one], judgements=[Judgement("5+0", "no failure", verdict, "")], decision=Decision(()),
    )  # fmt: skip
    assert done.exit_status == status
    aborted = replace(done, status=RunStatus.ABORTED)
    assert aborted.exit_status == EXIT_INTERRUPTED
