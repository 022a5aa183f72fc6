"""Comparing configurations: intervals that are right, pairs that are the same arrivals, and words that fit."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

from harness.analysis import load
from harness.analysis.compare import compare
from harness.analysis.differences import Difference, differences_in_words
from harness.analysis.effect import Effect, SeedEffect, Verdict
from harness.analysis.statistics import Measure, mean, quantiles, rate, sign_test
from harness.cli.compare import compare as compare_command
from harness.cli.compare import markdown
from harness.cli.progress import watching
from harness.cli.runs import runs as runs_command
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, pool
from harness.model.status import RunStatus
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


def test_intervals_and_the_sign_test_are_scipys() -> None:
    for total in (1, 2, 7, 200, 1000):
        for count in {0, 1, total // 3, total - 1, total}:
            found, theirs = rate(count, total), stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
            assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
            assert sign_test(count, total - count) == pytest.approx(stats.binomtest(count, total).pvalue, abs=1e-12)


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


def test_a_trial_without_a_value_says_nothing_of_the_mean() -> None:
    none = np.empty(0)
    assert mean([np.array([1.0]), np.array([3.0]), none, none]) == Measure(2.0)
    values = [np.array([1.0]), np.array([2.0]), np.array([3.0])]
    assert mean([none, *values, none]) == mean(values)
    assert np.isnan(mean([none, none, none]).value)


def test_the_sign_test_is_exact() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 5) == 1.0
    assert sign_test(0, 6) == pytest.approx(2 / 2**6)


def test_every_measure_is_that_of_the_runs_own_rows(finished: Path) -> None:
    run = load(finished)
    found = compare([run])
    lines = {(line.wake, line.configuration): line for line in found.lines}
    assert len(lines) == 6
    impatient = lines["wake 6 s", "2+0 pool_timeout=3"]
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
    large = lines["wake 6 s", "20+0"]
    assert large.held_s > 5 * impatient.held_s
    assert large.first_ok_s == pytest.approx(6.0, abs=0.7)
    assert lines["awake (control)", "20+0"].first_ok_s is None


def test_a_sample_of_the_pool_holds_until_the_next_and_instances_add_up(tmp_path: Path) -> None:
    plan = PlannedRun(scenario=SCENARIO)
    writer = RunWriter.create(tmp_path, plan=plan, trials=plan.trials[:1], stack="embedded", versions={}, parallel=1)
    writer.add_requests(0, [{
        "number": 0, "request": "read_track", "arrival_s": 0.0, "start_s": 0.0, "end_s": 1.0, "latency_s": 1.0,
        "outcome": "ok",
    }])  # fmt: skip
    counts = {"idle": 0, "checked_out": 0, "overflow": 0, "connecting": 0, "waiting": 0}
    sizes = {0: [(0.0, 2), (1.0, 5), (4.0, 1)], 1: [(0.0, 3), (4.0, 0)]}
    writer.add_pool(0, [
        {"at_s": at_s, "size": size, "instance": instance, **counts}
        for instance, samples in sizes.items()
        for at_s, size in samples
    ])  # fmt: skip
    writer.trial_ended(0, wall_s=1.0)
    writer.close(RunStatus.COMPLETE)
    (line,) = compare([load(writer.folder)]).lines
    # 2 for a second and 5 for three; 3 for four.
    assert line.held_s == 2 * 1 + 5 * 3 + 3 * 4


def test_pairs_are_the_same_arrivals_and_the_sentence_says_which_way(finished: Path) -> None:
    run = load(finished)
    found = compare([run])
    by_name = {difference.other: difference for difference in found.differences}
    worse = by_name["2+0 pool_timeout=3"]
    assert (worse.baseline, worse.effect.requests, worse.effect.saved) == ("2+0 pool_timeout=30", 160, 0)
    assert worse.effect.lost > 20
    assert (worse.effect.verdict, worse.effect.worse_in) == (Verdict.WORSE, 4)
    (sentence,) = [one for one in found.sentences() if "2+0 pool_timeout=3 is" in one]
    lost = f"none is saved and {worse.effect.lost} are lost; worse in 4 of 4 seeds, better in none"
    assert f"2+0 pool_timeout=3 is worse than 2+0 pool_timeout=30: of 160 requests {lost}" in sentence
    assert by_name["20+0"].changes_nothing


def test_a_request_that_failed_sooner_is_no_quicker_answer(finished: Path) -> None:
    # Who gives up after 3 s of waiting has an answer sooner, and it is none: among requests that are ok with both,
    # not one takes longer or shorter.
    run = load(finished)
    (worse,) = [one for one in compare([run]).differences if one.other == "2+0 pool_timeout=3"]
    rows = run.requests.merge(
        pd.DataFrame({"trial": [t.number for t in run.trials], "seed": [t.seed for t in run.trials],
                      "name": [t.configuration if t.wake else "control" for t in run.trials]})
    )  # fmt: skip
    pairs = rows[rows["outcome"] == "ok"].pivot_table(index=["seed", "number"], columns="name", values="latency_s")
    both = pairs[["2+0 pool_timeout=30", "2+0 pool_timeout=3"]].dropna()
    mean_s = (both["2+0 pool_timeout=3"] - both["2+0 pool_timeout=30"]).mean()
    assert 0 < len(both) < 160
    assert worse.longer_s.value == pytest.approx(mean_s, abs=1e-9)
    assert "shorter" not in " ".join(compare([run]).sentences())


def difference(*seeds: tuple[int, int], longer_s: Measure | None = None) -> Difference:
    effect = Effect(tuple(SeedEffect(seed, 100, saved, lost) for seed, (saved, lost) in enumerate(seeds, 1)))
    return Difference(
        run="r", wake="wake 8 s", baseline="5+0", other="10+5", effect=effect, failed=10,
        longer_s=longer_s or Measure(0.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seeds", "verdict", "says"),
    [
        ([(5, 0)], Verdict.BETTER, "10+5 is better than 5+0: of 100 requests 5 are saved and none is lost."),
        (
            [(1, 1)],
            Verdict.EVEN,
            "10+5 is neither better nor worse than 5+0: of 100 requests 1 is saved and 1 is lost.",
        ),
        ([(0, 0)], Verdict.NONE, "exactly the same requests fail with 10+5 as with 5+0."),
        ([(3, 0), (0, 0)], Verdict.BETTER, "3 are saved and none is lost; better in 1 of 2 seeds, worse in none."),
        (
            [(3, 0), (0, 2), (1, 0)],
            Verdict.DEPENDS,
            "whether 10+5 is better than 5+0 depends on the arrivals: of 300 requests 4 are saved and 2 are lost; "
            "better in 2 of 3 seeds, worse in 1; which of the two is better more often can be chance (p = 1.00).",
        ),
    ],
)
def test_one_seed_is_an_effect_and_several_say_how_far_it_holds(
    seeds: list[tuple[int, int]], verdict: Verdict, says: str
) -> None:
    found = difference(*seeds)
    assert found.effect.verdict is verdict
    (sentence, *note) = differences_in_words([found])
    assert sentence == f"wake 8 s: {says}" or sentence.endswith(says)
    assert bool(note) == (len(seeds) == 1)


def test_runs_are_never_pooled_and_different_ones_are_named(finished: Path, tmp_path: Path) -> None:
    other = RunWriter.create(
        tmp_path,
        plan=PlannedRun(scenario=SCENARIO),
        trials=PlannedRun(scenario=SCENARIO).trials[:1],
        stack="embedded",
        versions={},
        parallel=1,
    )
    other.close(RunStatus.ABORTED)
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
        writer.close(RunStatus.COMPLETE)
    runner = CliRunner()
    listed = json.loads(runner.invoke(runs_command, ["--out", str(tmp_path), "--json"]).stdout)["runs"]
    assert {one["run"] for one in listed} == {folder.name for folder in folders}
    assert {one["status"] for one in listed} == {"running", "complete"}
    runner.invoke(runs_command, ["--out", str(tmp_path), "--prune", "--keep", "1"])
    left = {folder for folder in folders if folder.is_dir()}
    writers[0].close(RunStatus.COMPLETE)
    assert folders[0] in left
    assert len(left) <= 2


def test_a_run_of_another_format_is_refused_by_name(finished: Path, tmp_path: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))
    with pytest.raises(UserError, match="format 1, this one reads 2"):
        read_manifest(tmp_path)
