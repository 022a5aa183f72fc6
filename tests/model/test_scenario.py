"""Scenarios, wake profiles and expectations: plain values that can't be wrong, found by name or path."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from harness.library import load_scenario, scenario_names
from harness.model.distribution import Constant, Empirical, LogNormal
from harness.model.errors import UserError
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario
from harness.model.timeline import Burst, Warm
from harness.model.wake import PROFILES, profile


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_loads_tells_its_story_and_is_named_as_its_file(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description.partition("\n")[0].endswith((".", "?"))
    assert scenario.expectations, "a scenario says what it expects"


def test_a_scenario_is_as_short_as_this(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        '''"""Five idle minutes, a suspend, and a burst: what each pool makes of the wake-up."""

from harness.scenario import Burst, Scenario, after_change, at_least, before_change, none
from harness.wake import profile

SCENARIO = Scenario(
    name="cold_burst",
    wake=profile("neon", latency_s=8.0),
    pools=(before_change, after_change, "15+5", "10+10"),
    timeline=(Burst(requests=200, over_s=20, arrivals="poisson"),),
    expect={after_change: none("pool_timeout"), before_change: at_least("pool_timeout", count=1)},
)
'''
    )
    scenario = load_scenario(str(path))
    assert [pool.short for pool in scenario.pool_configurations] == ["5+0", "10+5", "15+5", "10+10"]
    assert [str(expectation) for _, expectation in scenario.expectations] == [
        "no pool_timeout",
        "at least 1 pool_timeout",
    ]


def test_loading_every_scenario_leaves_locust_and_gevent_alone() -> None:
    code = (
        "import sys; from harness.library import load_scenario, scenario_names;"
        "[load_scenario(n) for n in scenario_names()]; assert not {'gevent', 'locust'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_scenario_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="cold_burst"):
        load_scenario("cold_bust")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SCENARIO = 1", "SCENARIO"),
        ("1/0", "line 1"),
        ("def (", "SyntaxError"),
        ("import nothing_like_it", "nothing_like_it"),
    ],
)
def test_a_broken_scenario_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError, match=says) as refused:
        load_scenario(str(path))
    assert "mine.py" in str(refused.value)


def test_every_trial_of_a_run_meets_the_same_arrivals_and_wake() -> None:
    scenario = load_scenario("cold_burst")
    trials = PlannedRun(scenario=scenario, overrides=Overrides(seed=3)).trials
    assert len({trial.story.bursts[0].schedule(trial.seed) for trial in trials}) == 1
    assert sum(trial.is_control for trial in trials) == len(scenario.pools)
    assert len({trial.number for trial in trials}) == len(trials)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_names_its_sources_and_draws_what_it_says(name: str) -> None:
    known = profile(name)
    assert known.sources
    draw = random.Random(1)
    latencies_s = sorted(known.latency.draw(draw) for _ in range(4_000))
    match known.latency:
        case Constant(latency_s):
            assert set(latencies_s) == {latency_s}
        case LogNormal(p50_s, _, max_s):
            assert latencies_s[2_000] == pytest.approx(p50_s, rel=0.1)
            assert latencies_s[-1] <= max_s
        case _:
            pytest.fail(f"no check for {known.latency}")


def test_an_empirical_latency_draws_its_own_measurements_only() -> None:
    draw = random.Random(1)
    assert {Empirical((1.0, 2.5)).draw(draw) for _ in range(50)} == {1.0, 2.5}


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Constant(-1), "wake latency"),
        (lambda: Constant(float("nan")), "wake latency"),
        (lambda: profile("nein"), "neon"),
        (lambda: profile("neon", on_suspend="evaporate"), "vanish"),
        (lambda: Burst(requests=0, over_s=1), "requests"),
        (lambda: Burst(requests=1, over_s=1, arrivals="now"), "at_once"),
        (lambda: Scenario(name="x", wake=profile("neon"), pools=(), timeline=(Burst(1, 1),)), "pool"),
        (lambda: Scenario(name="x", wake=profile("neon"), pools=("5+0",), timeline=(Warm(),)), "burst"),
    ],
)
def test_a_wrong_value_cannot_be_constructed(build: object, says: str) -> None:
    assert callable(build)
    with pytest.raises(UserError, match=says):
        build()
