"""Every scenario of the library: in virtual time its expectations are met, and its shortened story can be told."""

import json
from pathlib import Path

import pytest

from harness.analysis import load
from harness.analysis.report import report
from harness.cli.progress import watching
from harness.converter import from_json, to_json
from harness.library import load_scenario, scenario_names
from harness.model.expectation import Verdict
from harness.model.plan import Overrides, PlannedRun
from harness.postmortem import write
from harness.run import execute
from harness.stacks.base import RunOptions

EVERY = scenario_names()


def unmet(plan: PlannedRun) -> list[str]:
    """The expectations that are about no trial."""
    return [
        f"{pool.label}: {expectation}"
        for pool, expectation in plan.expectations
        if not any(trial.pool.resolved == pool.resolved and expectation.is_about(trial) for trial in plan.trials)
    ]


@pytest.mark.parametrize("name", EVERY)
def test_it_is_reproduced_in_virtual_time(name: str, tmp_path: Path) -> None:
    plan = PlannedRun(scenario=load_scenario(name))
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=tmp_path, charts=False)
    assert len(done.judgements) >= 2
    assert [one for one in done.judgements if one.verdict is not Verdict.REPRODUCED] == []
    assert done.exit_status == 0
    of_a_trial = load(done.folder).requests.groupby("trial")["number"]
    assert (of_a_trial.nunique() == of_a_trial.size()).all(), "a number is one arrival, however many bursts there are"


@pytest.mark.parametrize("name", EVERY)
def test_a_report_and_a_postmortem_can_be_made_of_it(name: str, tmp_path: Path) -> None:
    plan = PlannedRun(scenario=load_scenario(name))
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=tmp_path, charts=False)
    run = load(done.folder)
    page = report(run)
    assert page.count("<picture>") >= 4
    draft = write(run).read_text()
    assert "## What each setting would have changed" in draft
    assert "nan" not in draft
    assert "None" not in draft


@pytest.mark.parametrize("name", EVERY)
def test_no_expectation_is_about_nothing(name: str) -> None:
    scenario = load_scenario(name)
    for real_time in (False, True):
        plan = PlannedRun(scenario=scenario, real_time=real_time)
        assert unmet(plan) == []
        assert plan.expectations


@pytest.mark.parametrize("real_time", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_a_manifest_keeps_all_of_a_plan_but_its_expectations(name: str, real_time: bool) -> None:
    plan = PlannedRun(scenario=load_scenario(name), overrides=Overrides(seed=3), real_time=real_time)
    again = from_json(json.loads(json.dumps(to_json(plan))), PlannedRun, where="a manifest")
    assert to_json(again) == to_json(plan)
    assert again.trials == plan.trials
    assert again.shortened == plan.shortened
    assert again.changes == plan.changes


def test_the_library_is_what_the_readme_promises() -> None:
    assert {"cold_burst", "incident_2025_11_17", "incident_2025_12_02", "quiet_day", "retry_storm"} <= set(EVERY)
    assert len(EVERY) >= 16
