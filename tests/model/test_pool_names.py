"""A pool's name: what people call it, in every result; it decides nothing, and nothing else is called by it."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.analysis import load
from harness.analysis.charts.draw import figures
from harness.analysis.compare import compare
from harness.analysis.findings import findings
from harness.analysis.labels import Names
from harness.analysis.report import report
from harness.cli import coldstart
from harness.cli.questions import read_pool
from harness.converter import from_json, to_json
from harness.library import load_scenario, scenario_names
from harness.model.errors import UserError
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, once_each, pool
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.scenario import none

the_fix = pool("10+5", pool_timeout=20, name="the fix")
SCENARIO = Scenario(
    name="named",
    wake=profile("neon", latency_s=4.0),
    pools=(pool("2+0", pool_timeout=3, name="that night"), the_fix, "7+0"),
    timeline=(Warm(), Suspend(), Burst(20, 2.0)),
    expect={pool("10+5", pool_timeout=20): none("failure")},
)


def test_a_name_decides_nothing() -> None:
    plain = pool("10+5", pool_timeout=20)
    assert the_fix.resolved == plain.resolved
    assert the_fix.label == plain.label == "10+5 pool_timeout=20"
    assert the_fix.to_json() == plain.to_json()
    assert the_fix.to_environment() == plain.to_environment()
    assert (the_fix.called, plain.called) == ("the fix", plain.label)


def test_a_name_comes_back_from_a_manifest_and_one_without_is_written_as_before() -> None:
    plan = PlannedRun(scenario=SCENARIO)
    back = from_json(json.loads(json.dumps(to_json(plan))), PlannedRun, where="a test")
    assert [one.name for one in back.pools] == ["that night", "the fix", ""]
    assert "name" not in to_json(pool("7+0"))
    with pytest.raises(UserError, match="a pool's name"):
        from_json({**to_json(the_fix), "name": "a\nb"}, PoolConfiguration, where="a test")


@pytest.mark.parametrize("name", ["", " the fix", "10+5", "10+5 of old", "a|b", "x" * 61, "two\nlines"])
def test_what_can_not_be_told_from_a_pool_or_fits_no_table_is_no_name(name: str) -> None:
    with pytest.raises(UserError, match="a pool's name"):
        pool("10+5", name=name)


@pytest.mark.parametrize(
    ("text", "name", "label"),
    [
        ("the fix: 10+5,pool_timeout=20", "the fix", "10+5 pool_timeout=20"),
        ("a: b:10+5", "a: b", "10+5"),
        ("old, and slow : 5+0", "old, and slow", "5+0"),
        ("10+5", "", "10+5"),
    ],
)
def test_the_command_line_takes_a_name_before_a_colon(text: str, name: str, label: str) -> None:
    found = read_pool(text)
    assert (found.name, found.label) == (name, label)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--pool ': 10+5'", "'' is not a name"),
        ("--pool 'the fix:'", "'' is not a pool"),
        ("--pool '5+0: 10+5'", "begins like a pool"),
        ("--pool 'a: 5+0' --pool 'a: 10+5'", "two pools are called 'a'"),
        ("--pool 'a: 5+0' --pool 'b: 5+0'", "'a' and 'b' are one pool: 5+0"),
        ("--pool 'a: 5+0' --pool 'b: 6+0' --set pool_size=7", "'a' and 'b' are one pool: 7+0"),
        ("--set name=a", "no setting 'name'"),
    ],
)
def test_names_that_are_not_one_each_are_refused(words: str, says: str) -> None:
    command = ["run", "cold_burst", "--stack", "simulated", *shlex.split(words)]
    done = CliRunner().invoke(coldstart, command)
    assert isinstance(done.exception, UserError), done.output
    assert says in str(done.exception)


def test_a_pool_that_is_given_twice_is_played_once_and_under_its_name() -> None:
    (found,) = once_each((pool("5+0"), pool("5+0", name="small"), pool("5+0", pool_timeout=10)), where="a test")
    assert found.name == "small"


def test_a_file_with_two_pools_of_one_name_is_refused() -> None:
    with pytest.raises(UserError, match="scenario named: two pools are called 'the fix'"):
        replace(SCENARIO, pools=(the_fix, pool("7+0", name="the fix")))


def test_a_files_name_goes_with_its_settings_and_a_users_own_stays() -> None:
    def called(**overrides: object) -> list[str]:
        plan = PlannedRun(scenario=SCENARIO, overrides=Overrides(**overrides))  # type: ignore[arg-type]
        return [one.called for one in plan.pools]

    assert called() == ["that night", "the fix", "7+0"]
    assert called(settings={"pool_timeout": "20"}) == ["2+0 pool_timeout=20", "the fix", "7+0 pool_timeout=20"]
    mine = pool("3+0", name="mine")
    assert called(pools=(mine,), settings={"pool_timeout": "20"}) == ["mine"]


def test_an_expectation_is_of_the_pool_under_its_name() -> None:
    ((judged, _),) = SCENARIO.expectations
    assert judged.name == "the fix"


def test_named_and_unnamed_configurations_stay_apart_and_their_meaning_leaves_out_what_all_have() -> None:
    trials = PlannedRun(
        scenario=replace(SCENARIO, pools=("4+0", pool("2+0", name="a b"))), overrides=Overrides(settings={})
    ).trials
    names = Names.of(trials)
    assert [names[one] for one in ("4+0", "a b")] == ["4+0", "a b"]
    assert names.meanings() == ["a b: 2+0"]
    common = (pool("4+0", driver="psycopg"), pool("2+0", driver="psycopg", pool_timeout=5, name="a b"))
    names = Names.of(PlannedRun(scenario=replace(SCENARIO, pools=common, expect=None)).trials)
    assert names.note() == "Every configuration: driver=psycopg."
    assert names["4+0 driver=psycopg"] == "4+0"
    assert names.meanings() == ["a b: 2+0 pool_timeout=5"]


def test_a_configuration_that_is_alone_of_its_kind_is_called_by_its_name_and_others_by_what_they_share() -> None:
    pools = (pool("2+0", pool_timeout=5, name="a"), pool("4+0", name="b"), pool("6+0", name="c"))
    names = Names.of(PlannedRun(scenario=replace(SCENARIO, pools=pools, expect=None)).trials)
    assert [names.kind(name) for name in ("a", "b", "c")] == ["a", "", ""]


def test_every_result_uses_the_name_and_says_what_it_means(tmp_path: Path) -> None:
    words = ["run", "cold_burst", "--stack", "simulated", "--no-charts", "--requests", "40", "--wake", "12"]
    pools = ["--pool", "that night: 2+0,pool_timeout=3", "--pool", "the fix: 10+5", "--out", str(tmp_path)]
    done = CliRunner(env={"COLUMNS": "80"}).invoke(coldstart, [*words, *pools], standalone_mode=False)
    assert done.exception is None, done.output
    table = done.stdout.partition("•")[0]
    assert "  that night " in table
    assert "\nthat night: 2+0 pool_timeout=3\nthe fix: 10+5\n" in table.replace(" \n", "\n")
    (folder,) = tmp_path.iterdir()
    run = load(folder)
    said = " ".join(findings(run.summaries))
    assert "that night" in said
    assert "2+0" not in said
    comparison = compare([run])
    assert {line.configuration for line in comparison.lines} == {"that night", "the fix"}
    assert any("the fix is better than that night" in sentence for sentence in comparison.sentences())
    page = report(run)
    assert '<th scope="row">that night</th>' in page
    for name, figure in figures(run, comparison):
        assert "2+0" not in figure.get_suptitle(), name
        note = " ".join(figure.legends[0].get_title().get_text().split())
        assert "that night: 2+0 pool_timeout=3; the fix: 10+5." in note, name


@pytest.mark.parametrize("name", scenario_names())
def test_no_scenario_that_is_shipped_has_a_pool_with_a_long_name(name: str) -> None:
    scenario = load_scenario(name)
    for one in (*scenario.pool_configurations, *scenario.in_real_time().pool_configurations):
        assert len(one.called) <= 40, one.called
