"""A story written as a scenario file is the same story when it is loaded: every scenario that there is, as written."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis import load
from harness.library import load_scenario, scenario_names
from harness.model.arrivals import RequestMix
from harness.model.distribution import Constant, LogNormal
from harness.model.errors import UserError
from harness.model.expectation import misses
from harness.model.objective import read_objectives
from harness.model.patience import Patience
from harness.model.pool import PoolConfiguration
from harness.model.shape import Checkout, Query, RequestShape, Upstream
from harness.model.story import Story
from harness.model.timeline import Burst, Suspend
from harness.model.wake import WakeProfile, profile
from harness.shipped import shipped
from harness.worst.case import Case
from harness.worst.scenario_text import scenario_text

OBJECTIVES = read_objectives(["failed<1%", "p(95)<12s"], patience=Patience(20.0, "given"))


def loaded(tmp_path: Path, case: Case, pool: PoolConfiguration) -> tuple[Story, WakeProfile, PoolConfiguration]:
    path = tmp_path / "again.py"
    path.write_text(scenario_text(case, pool, OBJECTIVES, name="again", about=["A story."]))
    scenario = load_scenario(str(path))
    assert [expected.text for _, expected in scenario.expectations] == ["misses failed<1%, p(95)<12s"]
    ((_, story),) = scenario.stories.items()
    (pool,) = scenario.pool_configurations
    (wake,) = story.wakes
    assert not scenario.control
    assert max(len(line) for line in path.read_text().splitlines()) <= 120
    return story, wake, pool


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    scenario = load_scenario(name)
    for variant, story in scenario.stories.items():
        for wake in scenario.wakes:
            for pool in scenario.pool_configurations:
                case = Case(story=story, wake=wake, seed=1, variant=variant)
                again, its_wake, its_pool = loaded(tmp_path, case, pool)
                assert replace(again, wake=story.wake) == replace(story, name="again")
                assert its_wake == wake
                assert its_pool == pool


@pytest.mark.parametrize(
    "wake",
    [
        profile("xata"),
        profile("neon", latency_s=0.5, on_suspend="vanish", while_waking="drop"),
        replace(profile("azure-sql-serverless"), latency=LogNormal(1.0, 2.0, 3.0), suspend_after_s=None),
        replace(profile("neon", latency_s=3.0), name="mine", description='It\'s "mine"', addresses=3),
    ],
    ids=lambda wake: wake.name,
)
def test_every_wake_comes_back_as_it_was(tmp_path: Path, wake: WakeProfile) -> None:
    story = load_scenario("cold_burst").stories[""]
    _, its_wake, _ = loaded(tmp_path, Case(story=story, wake=wake, seed=1), PoolConfiguration())
    assert its_wake == wake


@pytest.mark.parametrize("objectives", [("failed<1%",), ("failed<6%", "p(95)<9s"), ("answered_within(8s)>99%",)])
def test_what_a_file_expects_is_that_one_of_its_objectives_is_missed(objectives: tuple[str, ...]) -> None:
    expectation = misses(*objectives, patience_s=20.0)
    read = read_objectives(objectives, patience=Patience(20.0, "given"))
    summaries = load(Path(str(shipped("results/sample"))) / "simulated").summaries
    verdicts = [expectation.holds(summary) for summary in summaries]
    assert verdicts == [bool(read.missed(summary)) for summary in summaries]
    assert len(set(verdicts)) == 2
    assert expectation.shows is not None
    assert all(f"{read.all[0].measured} is " in expectation.shows(summary) for summary in summaries)


@pytest.mark.parametrize(("objectives", "patience_s"), [(("good",), 20.0), (("failed<1%",), 0.0)])
def test_what_cant_be_expected_is_refused(objectives: tuple[str, ...], patience_s: float) -> None:
    with pytest.raises(UserError):
        misses(*objectives, patience_s=patience_s)


def test_a_shape_with_a_pool_of_its_own_and_settings_of_every_kind_come_back(tmp_path: Path) -> None:
    shape = RequestShape(
        "job", Checkout(Query(0.5), Query(), Checkout(Query(LogNormal(1.0, 2.0, 3.0)))), Upstream(1.5), at_most=2,
        pool="1+0",
    )  # fmt: skip
    mix = RequestMix.of({shape: 1, "read_track": 2.5}, hold_s=0.25)
    story = load_scenario("cold_burst").stories[""]
    story = replace(story, timeline=(Suspend(), Burst(3, 1.0, mix=mix), Burst.at(0.0, 1.25, mix=mix)))
    settings = {"driver": "psycopg", "pool_pre_ping": "false", "connection_timeout": "7", "pool_timeout": "30"}
    pool = PoolConfiguration().with_settings(settings)
    wake = profile("neon").with_changes(latency_s=Constant(1.0).latency_s)
    again, _, its_pool = loaded(tmp_path, Case(story=story, wake=wake, seed=1), pool)
    assert replace(again, wake=story.wake) == replace(story, name="again")
    assert its_pool == pool
