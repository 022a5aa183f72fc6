"""A sweep plays every pool of the grid at every wake, and its table is what the trials came to."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import load
from harness.analysis.sentences import percent
from harness.cli.ranges import is_range, number_range, whole_range
from harness.cli.run import run as run_command
from harness.cli.sweep import sweep as sweep_command
from harness.model.errors import UserError

STORY = ["--requests", "60", "--over", "6"]
GRID = ["--pool-size", "2:6:2", "--max-overflow", "0,4", "--wake", "4:12:8"]


def swept(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        sweep_command, ["cold_burst", *STORY, *GRID, "--out", str(out), *arguments], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("runs")
    done = swept(out)
    assert done.exit_code == 0
    (folder,) = out.iterdir()
    return done.stdout, folder


def test_every_pool_of_the_grid_meets_every_wake_and_a_control(told: tuple[str, Path]) -> None:
    run = load(told[1])
    cells = [(trial.pool.short, trial.wake_latency_s) for trial in run.trials]
    assert sorted(set(cells), key=str) == sorted(cells, key=str)
    assert set(cells) == {
        (f"{size}+{overflow}", wake) for size in (2, 4, 6) for overflow in (0, 4) for wake in (4.0, 12.0, None)
    }
    assert run.manifest.stack == "simulated"


def test_its_table_is_what_the_trials_came_to_and_fits_a_terminal(told: tuple[str, Path]) -> None:
    table, folder = told
    assert max(len(line) for line in table.splitlines() if str(folder.parent) not in line) <= 80
    for one in load(folder).summaries:
        if one.trial.wake_latency_s == 12.0:
            share = one.failed / one.requests
            row = rf"^ +{re.escape(one.trial.pool.short)} +0 +{'0' if share == 0 else f'{share:.1%}'} +\d+$"
            assert re.search(row, table, re.MULTILINE), (one.trial.label, table)


def test_it_names_everyone_with_the_fewest_failures(told: tuple[str, Path]) -> None:
    table, folder = " ".join(told[0].split()), told[1]
    assert "wake 4 s: no request fails." in table
    failed = {one.trial.pool.short: one.failed for one in load(folder).summaries if one.trial.wake_latency_s == 12.0}
    least = min(failed.values())
    said = re.search(r"wake 12 s: requests fail with every configuration; fewest with (.+?): (\d+) of 60", table)
    assert said is not None
    assert set(re.split(r", | and ", said[1])) == {name for name, count in failed.items() if count == least}
    assert int(said[2]) == least


def test_it_draws_the_grid_and_no_chart_a_trial(told: tuple[str, Path]) -> None:
    names = {path.name for path in (told[1] / "charts").glob("*.svg")}
    assert names == {"failures.svg", "held.svg", "latency.svg", "rates.svg"}


def test_a_cell_is_the_very_trial_that_run_plays(told: tuple[str, Path], tmp_path: Path) -> None:
    arguments = ["cold_burst", *STORY, "--stack", "simulated", "--pool", "4+4", "--wake", "12", "--json"]
    done = CliRunner().invoke(run_command, [*arguments, "--out", str(tmp_path)], catch_exceptions=False)
    (alone,) = json.loads(done.stdout)["trials"]
    cell = next(one for one in load(told[1]).summaries if one.trial.label == "4+4, wake 12 s")
    assert {name: count for name, count in alone["outcomes"].items() if count} == {
        outcome.value: count for outcome, count in cell.outcomes.items()
    }
    assert alone["latency_s"] == cell.latency_s


def test_a_setting_with_several_values_is_an_axis(tmp_path: Path) -> None:
    done = swept(tmp_path, "--set", "pool_timeout=5,30", "--set", "use_lifo=false", "--no-control", "--json")
    trials = json.loads(done.stdout)["trials"]
    assert len(trials) == 3 * 2 * 2 * 2
    assert {one["pool"]["pool_timeout"] for one in trials} == {5.0, 30.0}
    assert {one["pool"]["use_lifo"] for one in trials} == {False}


def test_wakes_can_be_profiles_too(tmp_path: Path) -> None:
    done = swept(tmp_path, "--wake", "neon:6", "--no-control", "--json")
    latencies = {one["wake"]["latency_s"] for one in json.loads(done.stdout)["trials"]}
    assert latencies == {4.0, 6.0, 12.0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pool-size", "5-30"], "'5-30' is no range"),
        (["--pool-size", "30:5:5"], "'30:5:5' has nothing in it"),
        (["--pool-size", "0:5:5"], "'0+0' has pool_size 0"),
        (["--max-overflow", "0:5:2.5"], "no whole numbers"),
        (["--wake", "5:10:0"], "'5:10:0' has nothing in it"),
        (["--wake", "neo"], "'neo' is not a wake"),
        (["--set", "pool_timeout"], "'pool_timeout' is not a setting"),
        (["--set", "colour=red,blue"], "no setting 'colour'"),
        (["--pool-size", "1:60:1", "--repeat", "100"], "trials (allowed: up to 10000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_grid_is_refused_in_words(tmp_path: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        swept(tmp_path, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_ranges_have_both_ends() -> None:
    assert whole_range("5:30:5", where="") == [5, 10, 15, 20, 25, 30]
    assert whole_range("5:7", where="") == [5, 6, 7]
    assert whole_range("8", where="") == [8]
    assert whole_range("10,5,10", where="") == [5, 10]
    assert number_range("0.1:0.3:0.1", where="") == [0.1, 0.2, 0.3]
    assert not is_range("neon:8")
    assert not is_range("nan")


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 9))
def test_a_range_is_what_python_counts(first: int, more: int, step: int) -> None:
    assert whole_range(f"{first}:{first + more}:{step}", where="") == list(range(first, first + more + 1, step))


PATIENT = """
from harness.scenario import *
from harness.wake import profile
SCENARIO = Scenario(
    name="patient", wake=profile("neon", latency_s=12.0), pools=("10+5",), patience_s=11.0,
    timeline=(Warm(), Suspend(), Burst(requests=60, over_s=6)),
)
"""


def test_with_a_patience_the_table_is_of_the_answers_within_it(tmp_path: Path) -> None:
    file = tmp_path / "patient.py"
    file.write_text(PATIENT, encoding="utf-8")
    out = tmp_path / "runs"
    done = CliRunner(env={"COLUMNS": "80"}).invoke(
        sweep_command, [str(file), *GRID, "--out", str(out), "--no-charts"], catch_exceptions=False
    )
    (folder,) = out.iterdir()
    assert re.search(
        r"^answered +connection\nwithin 11 s, with wake 4 s wake 12 s +seconds$", done.stdout, re.MULTILINE
    )
    for one in load(folder).summaries:
        if one.trial.wake_latency_s == 12.0:
            assert one.answered_within is not None
            share = percent(one.answered_within / one.requests)
            row = rf"^ +{re.escape(one.trial.pool.short)} +100% +{share} +\d+$"
            assert re.search(row, done.stdout, re.MULTILINE), (one.trial.label, done.stdout)
    said = " ".join(done.stdout.split())
    assert "wake 4 s: every request is answered within 11 s." in said
    assert "fail" not in said.partition("Results:")[0]
