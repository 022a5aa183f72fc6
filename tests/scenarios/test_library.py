"""Every scenario of the library: its expectations are met, and its shortened story can be told.

In virtual time; what the simulated stack refuses (a pooler) is played on the embedded one, where it can be.
"""

import json
from pathlib import Path

import pytest

from harness.analysis import load
from harness.analysis.report import report
from harness.cli.progress import watching
from harness.converter import from_json, to_json
from harness.library import load_scenario, scenario_names
from harness.model.errors import UserError
from harness.model.expectation import Verdict
from harness.model.plan import Overrides, PlannedRun
from harness.postmortem import write
from harness.run import FinishedRun, execute
from harness.stacks.base import RunOptions
from tests.conftest import needs_pgbouncer

EVERY = scenario_names()
REFUSED = ["behind_pgbouncer"]
"""What virtual time can't play: a pooler."""
SIMULATED = [name for name in EVERY if name not in REFUSED]


def unmet(plan: PlannedRun) -> list[str]:
    """The expectations that are about no trial."""
    return [
        f"{pool.label}: {expectation}"
        for pool, expectation in plan.expectations
        if not any(trial.pool.resolved == pool.resolved and expectation.is_about(trial) for trial in plan.trials)
    ]


def played(name: str, stack: str, out: Path) -> FinishedRun:
    plan = PlannedRun(scenario=load_scenario(name), real_time=stack != "simulated")
    with watching(plan.trials) as progress:
        return execute(plan, stack=stack, options=RunOptions(), progress=progress, out=out, charts=False)


@pytest.fixture(scope="module")
def in_real_time(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """The scenarios that virtual time refuses, each played once: that takes as long as it takes."""
    out = tmp_path_factory.mktemp("runs")
    return {name: played(name, "embedded", out) for name in REFUSED}


@pytest.mark.parametrize("name", SIMULATED)
def test_it_is_reproduced_in_virtual_time(name: str, tmp_path: Path) -> None:
    assert_reproduced(played(name, "simulated", tmp_path))


@pytest.mark.parametrize("name", REFUSED)
def test_virtual_time_refuses_a_pooler_and_names_the_stacks_that_have_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't be played here \(allowed: --stack embedded, --stack compose\)"):
        played(name, "simulated", tmp_path)
    assert list(tmp_path.iterdir()) == []


@needs_pgbouncer
@pytest.mark.quiet
@pytest.mark.parametrize("name", REFUSED)
def test_what_virtual_time_refuses_is_reproduced_in_real_time(name: str, in_real_time: dict[str, FinishedRun]) -> None:
    assert_reproduced(in_real_time[name])


def assert_reproduced(done: FinishedRun) -> None:
    assert len(done.judgements) >= 2
    assert [one for one in done.judgements if one.verdict is not Verdict.REPRODUCED] == []
    assert done.exit_status == 0
    of_a_trial = load(done.folder).requests.groupby("trial")["number"]
    assert (of_a_trial.nunique() == of_a_trial.size()).all(), "a number is one arrival, however many bursts there are"


@needs_pgbouncer
@pytest.mark.quiet
@pytest.mark.parametrize("name", REFUSED)
def test_a_report_can_be_made_of_what_was_played_in_real_time(name: str, in_real_time: dict[str, FinishedRun]) -> None:
    run = load(in_real_time[name].folder)
    assert report(run).count('<svg role="img"') >= 4
    assert run.manifest.versions["pgbouncer"]


@pytest.mark.parametrize("name", SIMULATED)
def test_a_report_and_a_postmortem_can_be_made_of_it(name: str, tmp_path: Path) -> None:
    run = load(played(name, "simulated", tmp_path).folder)
    page = report(run)
    assert page.count('<svg role="img"') >= 4
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
