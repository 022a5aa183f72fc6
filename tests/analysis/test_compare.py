"""Comparing configurations: intervals that are right, pairs that are the same arrivals, and words that fit."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.analysis import load
from harness.analysis.compare import Difference, compare
from harness.analysis.statistics import Measure, mean, quantiles, rate, sign_test
from harness.cli.compare import compare as compare_command
from harness.cli.compare import markdown
from harness.cli.progress import watching
from harness.cli.runs import runs as runs_command
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, pool
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.results import RunWriter, read_manifest
from harness.run import execute
from harness.stacks.base import RunOptions

SCENARIO = Scenario(
    name="compared",
    wake=profile("neon", latency_s=6.0),
    pools=(pool("2+0", pool_timeout=30), pool("2+0", pool_timeout=3), "20+0"),
    timeline=(Warm(), Suspend(), Burst(requests=40, over_s=6)),
)
PLAN = PlannedRun(scenario=SCENARIO)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = PlannedRun(scenario=SCENARIO, overrides=Overrides(repeat=4))
    with watching(plan.trials) as progress:
        done = execute(
            plan, stack="simulated", options=RunOptions(), progress=progress,
            out=tmp_path_factory.mktemp("runs"), charts=False,
        )  # fmt: skip
    return done.folder


def test_a_rates_interval_is_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20.
    for count, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = rate(count, total)
        assert found.low == pytest.approx(low, abs=1e-4)
        assert found.high == pytest.approx(high, abs=1e-4)


def test_an_interval_over_trials_knows_that_requests_of_a_trial_belong_together() -> None:
    draw = np.random.default_rng(7)
    # Trials differ, requests within one do not: resampling requests would claim to know their mean exactly.
    trials = [np.full(1000, mean) for mean in draw.normal(10.0, 2.0, 12)]
    found = mean(trials)
    assert found.low is not None
    assert found.high is not None
    assert 1.0 < found.high - found.low < 4.0
    assert found.low < found.value < found.high


def test_a_quantiles_interval_is_that_of_resampling_the_trials_one_by_one() -> None:
    draw = np.random.default_rng(3)
    trials = [draw.exponential(mean_s, draw.integers(200, 400)) for mean_s in draw.uniform(1.0, 3.0, 15)]
    (median, p95) = quantiles(trials, [50.0, 95.0])
    resampled = [
        np.percentile(np.concatenate([trials[index] for index in draw.integers(0, 15, 15)]), [50.0, 95.0])
        for _ in range(2000)
    ]
    for found, place in ((median, 0), (p95, 1)):
        ends = np.percentile([one[place] for one in resampled], [2.5, 97.5])
        assert found.value == pytest.approx(np.percentile(np.concatenate(trials), [50.0, 95.0])[place])
        assert [found.low, found.high] == pytest.approx(ends, rel=0.03)


def test_two_trials_have_no_interval() -> None:
    assert quantiles([np.array([1.0, 3.0]), np.array([2.0])], [50.0]) == [Measure(2.0)]
    assert mean([np.array([1.0, 3.0]), np.array([2.0])]) == Measure(2.0)


def test_the_sign_test_is_exact() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 5) == 1.0
    assert sign_test(0, 6) == pytest.approx(2 / 2**6)


def test_every_measure_is_that_of_the_runs_own_rows(finished: Path) -> None:
    run = load(finished)
    found = compare([run])
    lines = {(line.wake, line.configuration): line for line in found.lines}
    assert len(lines) == 6
    impatient = lines["neon, 6 s, terminate", "2+0 pool_timeout=3"]
    assert (impatient.trials, impatient.requests) == (4, 160)
    trials = [trial.number for trial in run.trials if trial.configuration == "2+0 pool_timeout=3" and trial.wake]
    rows = run.requests[run.requests["trial"].isin(trials)]
    exhausted = int((rows["outcome"] == "pool_timeout").sum())
    assert exhausted > 20
    assert impatient.rates[Outcome.POOL_TIMEOUT] == rate(exhausted, 160)
    assert impatient.failures.value == exhausted / 160
    assert impatient.latency_s["p95"].value == pytest.approx(float(np.percentile(rows["latency_s"], 95)))
    assert impatient.latency_s["max"].low is None
    assert impatient.peak_connections == 2
    large = lines["neon, 6 s, terminate", "20+0"]
    assert large.held_s > 5 * impatient.held_s
    assert large.first_ok_s == pytest.approx(6.0, abs=0.7)
    assert lines["awake (control)", "20+0"].first_ok_s is None


def test_pairs_are_the_same_arrivals_and_the_sentence_says_which_way(finished: Path) -> None:
    by_name = {one.other: one for one in compare([load(finished)]).differences}
    worse = by_name["2+0 pool_timeout=3"]
    assert (worse.baseline, worse.pairs, worse.saved) == ("2+0 pool_timeout=30", 160, 0)
    assert worse.lost > 20
    assert worse.is_one
    # Who gives up after 3 s of waiting has an answer sooner.
    rows = load(finished).requests
    mean_s = {
        name: rows[rows["trial"].isin([t.number for t in load(finished).trials if t.configuration == name and t.wake])][
            "latency_s"
        ].mean()
        for name in ("2+0 pool_timeout=30", "2+0 pool_timeout=3")
    }
    assert worse.longer_s.value == pytest.approx(mean_s["2+0 pool_timeout=3"] - mean_s["2+0 pool_timeout=30"])
    assert worse.longer_s.low is not None
    assert re.search(r"a request takes \d\.\d\d s shorter on average \(\d\.\d\d–\d\.\d\d\)", worse.sentence())
    assert "2+0 pool_timeout=3 is worse than 2+0 pool_timeout=30: of 160 requests 0 are saved" in worse.sentence()
    assert by_name["20+0"].is_none


def test_what_can_be_chance_is_called_that() -> None:
    one = Difference(
        run="r",
        wake="w",
        baseline="a",
        other="b",
        pairs=100,
        saved=3,
        lost=1,
        chance=sign_test(3, 1),
        longer_s=Measure(0.1),
    )
    assert not one.is_one
    assert (
        one.sentence() == "w: b against a: of 100 requests 3 are saved and 1 are lost; that can be chance (p = 0.62)."
    )


def test_runs_are_never_pooled_and_different_ones_are_named(finished: Path, tmp_path: Path) -> None:
    other = RunWriter.create(
        tmp_path,
        plan=PlannedRun(scenario=SCENARIO),
        trials=PlannedRun(scenario=SCENARIO).trials[:1],
        stack="embedded",
        versions={},
        parallel=1,
    )
    other.close("aborted")
    found = compare([load(finished), load(other.folder)])
    assert {line.run for line in found.lines} == {finished.name}
    assert "The runs were made with different stacks." in found.doubts
    assert any("aborted" in doubt for doubt in found.doubts)


def test_every_form_says_the_same(finished: Path) -> None:
    runner = CliRunner()
    document = json.loads(runner.invoke(compare_command, [str(finished), "--json"]).stdout)
    rows = list(csv.DictReader(io.StringIO(runner.invoke(compare_command, [str(finished), "--csv"]).stdout)))
    assert len(document["configurations"]) == len(rows) == 6
    for line, row in zip(document["configurations"], rows, strict=True):
        assert float(row["exhaustion"]) == line["rates"]["pool_timeout"]["value"]
    page = runner.invoke(compare_command, [str(finished), "--markdown"]).stdout
    assert page == markdown(compare([load(finished)])) + "\n"
    assert "| 2+0 pool_timeout=3 |" in page
    terminal = runner.invoke(compare_command, [str(finished)]).stdout
    assert max(len(line) for line in terminal.splitlines()) <= 80
    assert "is worse than" in terminal


def test_runs_are_listed_and_old_ones_pruned_but_never_a_running_one(tmp_path: Path) -> None:
    writers = [
        RunWriter.create(tmp_path, plan=PlannedRun(scenario=SCENARIO), stack="simulated", versions={}, parallel=1)
        for _ in range(4)
    ]
    folders = [writer.folder for writer in writers]
    for writer in writers[1:]:
        writer.close("complete")
    runner = CliRunner()
    listed = json.loads(runner.invoke(runs_command, ["--out", str(tmp_path), "--json"]).stdout)["runs"]
    assert {one["run"] for one in listed} == {folder.name for folder in folders}
    assert {one["status"] for one in listed} == {"running", "complete"}
    runner.invoke(runs_command, ["--out", str(tmp_path), "--prune", "--keep", "1"])
    left = {folder for folder in folders if folder.is_dir()}
    writers[0].close("complete")
    assert folders[0] in left
    assert len(left) <= 2


def test_a_run_of_another_format_is_refused_by_name(finished: Path, tmp_path: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))
    with pytest.raises(UserError, match="format 1, this one reads 2"):
        read_manifest(tmp_path)
