"""Every scenario of the library: in virtual time its expectations are met, and its shortened story can be told."""

from pathlib import Path

import pytest
from harness.results.codec import scenario_from_json, scenario_to_json, trial_from_json, trial_to_json

from harness.analysis import load
from harness.analysis.report import report
from harness.cli.progress import watching
from harness.library import load_scenario, scenario_names
from harness.model.expectation import Verdict
from harness.model.scenario import Scenario
from harness.model.trial import trials_of
from harness.postmortem import write
from harness.run import execute
from harness.stacks.base import RunOptions

EVERY = scenario_names()


def unheard(scenario: Scenario) -> list[str]:
    """The expectations that speak of no trial."""
    trials = trials_of(scenario, seed=1)
    return [
        f"{pool.label}: {statement}"
        for pool, statement in scenario.expectations()
        if not any(trial.pool == pool and statement.speaks_of(trial) for trial in trials)
    ]


@pytest.mark.parametrize("name", EVERY)
def test_it_is_reproduced_in_virtual_time(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name)
    trials = trials_of(scenario, seed=1)
    with watching(trials) as progress:
        done = execute(
            scenario, trials, stack="simulated", options=RunOptions(), progress=progress, out=tmp_path, charts=False
        )
    assert len(done.judgements) >= 2
    assert [one for one in done.judgements if one.verdict is not Verdict.REPRODUCED] == []
    assert done.exit_status == 0
    of_a_trial = load(done.folder).requests.groupby("trial")["number"]
    assert (of_a_trial.nunique() == of_a_trial.size()).all(), "a number is one arrival, however many bursts there are"


@pytest.mark.parametrize("name", EVERY)
def test_a_report_and_a_postmortem_can_be_made_of_it(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name)
    trials = trials_of(scenario, seed=1)
    with watching(trials) as progress:
        done = execute(
            scenario, trials, stack="simulated", options=RunOptions(), progress=progress, out=tmp_path, charts=False
        )
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
    assert unheard(scenario) == []
    assert unheard(scenario.in_real_time()) == []
    assert scenario.in_real_time().expectations()


@pytest.mark.parametrize("name", EVERY)
def test_a_manifest_tells_its_whole_story(name: str) -> None:
    scenario = load_scenario(name).in_real_time()
    again = scenario_from_json(scenario_to_json(scenario))
    assert scenario_to_json(again) == scenario_to_json(scenario)
    for trial in trials_of(scenario, seed=3):
        read = trial_from_json(trial_to_json(trial), again)
        assert (read.label, read.wake_latencies_s()) == (trial.label, trial.wake_latencies_s())
        assert read.scenario.timeline == trial.story.timeline
        assert read.scenario.retry == trial.story.retry


def test_the_library_is_what_the_readme_promises() -> None:
    assert {"cold_burst", "incident_2025_11_17", "incident_2025_12_02", "quiet_day", "retry_storm"} <= set(EVERY)
    assert len(EVERY) >= 16
