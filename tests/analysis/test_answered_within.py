"""Where a story has a patience, success is an answer within it, in one phrase everywhere."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import Run, load
from harness.analysis.compare import compare
from harness.analysis.differences import Difference, differences_in_words
from harness.analysis.effect import Effect, SeedEffect
from harness.analysis.findings import findings
from harness.analysis.report import report
from harness.analysis.sentences import Failures, answered_within, percent, who_fails, who_succeeds
from harness.analysis.statistics import Measure
from harness.cli.compare import compare as compare_command
from harness.cli.compare import markdown
from harness.cli.progress import watching
from harness.cli.sweep import sentences
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario, Variant, pool
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.wake import profile
from harness.postmortem.incident import incident
from harness.run import execute
from harness.stacks.base import RunOptions

WITHIN = "answered within 4 s"
COUNT = r"(\d+) of (\d+) \((.*?%)\)"
SCENARIO = Scenario(
    name="patient",
    wake=profile("neon", latency_s=6.0),
    pools=(pool("2+0", pool_timeout=3), pool("2+0", pool_timeout=30), "20+0"),
    timeline=(Warm(), Suspend(), Burst(requests=40, over_s=6)),
    patience_s=4.0,
)


def played(scenario: Scenario, out: Path, *, repeat: int = 1) -> Run:
    plan = PlannedRun(scenario=scenario, overrides=Overrides(repeat=repeat))
    with watching(plan.trials) as progress:
        done = execute(plan, stack="simulated", options=RunOptions(), progress=progress, out=out, charts=False)
    return load(done.folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return played(SCENARIO, tmp_path_factory.mktemp("runs"), repeat=2)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return played(replace(SCENARIO, patience_s=None), tmp_path_factory.mktemp("runs"), repeat=2)


@pytest.mark.parametrize(
    ("patiences_s", "phrase"),
    [
        ([], ""), ([None, None], ""), ([4.0], WITHIN), ([4.0, 4.0], WITHIN), ([0.5], "answered within 0.5 s"),
        ([4.0, 5.0], "answered within the patience"), ([4.0, None], "answered within the patience"),
    ],
)  # fmt: skip
def test_there_is_one_phrase(patiences_s: list[float | None], phrase: str) -> None:
    assert answered_within(patiences_s) == phrase


FAILING = st.dictionaries(st.sampled_from("abcdefghij"), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1)


@given(FAILING)
def test_who_is_answered_is_what_was_counted(counts: dict[str, tuple[int, int]]) -> None:
    failures = {name: Failures(failed, failed + ok) for name, (failed, ok) in counts.items()}
    said = who_succeeds(failures, answered=WITHIN)
    if not any(one.requests for one in failures.values()):
        assert said == "no request has ended"
        return
    assert WITHIN in said
    assert "fail" not in said
    shares = {name: 1 - one.share for name, one in failures.items()}
    for count, of, share in re.findall(COUNT, said):
        assert share == percent(int(count) / int(of) if int(of) else 0.0)
    for who, best in (("most", max), ("fewest", min)):
        for names in re.findall(rf"{who} with ([a-j, and]+): {COUNT}", said):
            for name in re.findall(r"\b[a-j]\b", names[0]):
                assert shares[name] == pytest.approx(best(shares.values())), said
    if said.startswith(f"every request is {WITHIN} with ") and len(counts) > 1:
        named = said.partition(" with ")[2].partition(";")[0]
        if "configurations" not in named:
            assert set(re.findall(r"\b[a-j]\b", named)) == {name for name, one in failures.items() if not one.failed}


@given(FAILING)
def test_without_a_patience_the_clause_is_the_one_about_failures(counts: dict[str, tuple[int, int]]) -> None:
    failures = {name: Failures(failed, failed + ok) for name, (failed, ok) in counts.items()}
    sizes = dict(zip(failures, range(10), strict=False))
    assert who_succeeds(failures, sizes) == who_fails(failures, sizes)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        ({"a": 0}, "every request is answered within 4 s with a"),
        ({"a": 5}, "15 of 20 (75.0%) requests are answered within 4 s with a"),
        ({"a": 20}, "no request is answered within 4 s with a"),
        ({"a": 0, "b": 0}, "every request is answered within 4 s"),
        ({"a": 20, "b": 20}, "no request is answered within 4 s, with any configuration"),
        (
            {"a": 5, "b": 5},
            "as many requests are answered within 4 s with every configuration: 15 of 20 (75.0%) each",
        ),
        ({"a": 0, "b": 20}, "every request is answered within 4 s with a; with b: 0 of 20 (0%)"),
        (
            {"a": 0, "b": 5, "c": 20, "d": 0},
            "every request is answered within 4 s with a and d (the smallest is a); fewest with c: 0 of 20 (0%)",
        ),
        (
            {"a": 1, "b": 5, "c": 5},
            "not every request is answered within 4 s with any configuration; most with a: 19 of 20 (95.0%); "
            "fewest with b and c: 15 of 20 (75.0%) each",
        ),
    ],
)
def test_ties_one_pool_none_and_all_are_said_as_they_are(failed: dict[str, int], said: str) -> None:
    sizes = dict(zip("abcd", range(1, 5), strict=True))
    assert who_succeeds({name: Failures(count, 20) for name, count in failed.items()}, sizes, answered=WITHIN) == said


def test_the_findings_count_the_answers_in_time_and_say_how_many_came_too_late(run: Run) -> None:
    said = findings(run.summaries)
    within = {one.trial.configuration: 0 for one in run.summaries}
    late = dict(within)
    for one in run.summaries:
        if not one.trial.is_control:
            assert one.answered_within is not None
            within[one.trial.configuration] += one.answered_within
            late[one.trial.configuration] += one.requests - one.failed - one.answered_within
    assert WITHIN in said[0]
    for count, of, _ in re.findall(COUNT, said[0]):
        assert int(of) == 80
        assert int(count) in within.values()
    (too_late,) = [one for one in said if one.startswith(f"ok, but not {WITHIN}: ")]
    assert {int(count) for count in re.findall(r"(\d+)(?: each)? with", too_late)} == {n for n in late.values() if n}


def test_controls_that_answer_in_time_are_no_finding(run: Run) -> None:
    controls = [one for one in run.summaries if one.trial.is_control]
    assert all(one.answered_within == one.requests for one in controls)
    assert findings(controls) == ["Only controls were played: nothing is known of a wake."]


def test_the_comparison_the_report_and_the_sweep_have_the_same_numbers(run: Run) -> None:
    comparison = compare([run])
    texts = (
        markdown(comparison),
        report(run),
        " ".join(sentences([one for one in comparison.lines if not one.is_control])),
    )
    assert all(WITHIN in " ".join(text.split()) for text in texts)
    for line in comparison.lines:
        own = [one for one in run.summaries if one.trial.configuration == line.configuration]
        own = [one for one in own if one.trial.is_control == line.is_control]
        assert line.unanswered == sum(one.unanswered for one in own)
        assert line.answered is not None
        assert line.answered.value == pytest.approx(1 - line.unanswered / line.requests)
        assert line.to_json()["answered_within"]["value"] == line.answered.value
        assert line.to_row()["answered_within"] == line.answered.value


def test_a_pair_is_saved_where_its_answer_comes_in_time(run: Run) -> None:
    comparison = compare([run])
    patient, _ = comparison.differences
    latencies = {
        one.trial.configuration: run.of(one.trial, "requests").set_index("number")
        for one in run.summaries if one.trial.seed == 1 and not one.trial.is_control
    }  # fmt: skip

    def in_time(name: str) -> list[bool]:
        rows = latencies[name].sort_index()
        return ((rows["outcome"] == "ok") & (rows["latency_s"] <= 4.0)).tolist()

    pairs = list(zip(in_time(patient.baseline), in_time(patient.other), strict=True))
    seed = next(one for one in patient.effect.seeds if one.seed == 1)
    assert (seed.saved, seed.lost) == (pairs.count((False, True)), pairs.count((True, False)))
    assert all(WITHIN in sentence for sentence in comparison.sentences())


def test_without_a_patience_nothing_speaks_of_one(without: Run) -> None:
    comparison = compare([without])
    for text in (markdown(comparison), report(without), *findings(without.summaries)):
        assert "answered within" not in " ".join(text.split())
    assert all("answered_within" not in line.to_json() | line.to_row() for line in comparison.lines)


def test_a_csv_file_of_runs_with_and_without_a_patience_has_one_header(run: Run, without: Run) -> None:
    for folders in ((run.folder, without.folder), (without.folder, run.folder)):
        printed = CliRunner().invoke(compare_command, [*map(str, folders), "--csv"], catch_exceptions=False).stdout
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert {row["run"] for row in rows} == {run.folder.name, without.folder.name}
        assert all((row["answered_within"] == "") == (row["run"] == without.folder.name) for row in rows)


def difference(saved: int, lost: int, *, failed: int = 5, answered: str = WITHIN) -> Difference:
    effect = Effect((SeedEffect(1, 200, saved, lost),))
    return Difference(
        run="one", wake="wake 6 s", baseline="5+0", other="10+5", effect=effect, failed=failed,
        longer_s=Measure(0.0), answered=answered,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        (
            [difference(5, 0)],
            "10+5 is better than 5+0 in requests answered within 4 s: of 200 requests 5 are saved and none is lost.",
        ),
        (
            [difference(0, 1)],
            "10+5 is worse than 5+0 in requests answered within 4 s: of 200 requests none is saved and 1 is lost.",
        ),
        (
            [difference(2, 2)],
            "10+5 is neither better nor worse than 5+0 in requests answered within 4 s: of 200 requests 2 are saved "
            "and 2 are lost.",
        ),
        ([difference(0, 0)], "exactly the same requests are answered within 4 s with 10+5 as with 5+0."),
        ([difference(0, 0, failed=0)], "every request is answered within 4 s with 5+0, and with 10+5."),
        ([difference(0, 0, failed=0, answered="")], "no request fails with 5+0, nor with 10+5."),
        (
            [difference(0, 0, failed=0), replace(difference(0, 0, failed=0), other="20+0", answered="")],
            "every request is answered within the patience with 5+0, and with 10+5 and 20+0.",
        ),
    ],
)
def test_a_difference_says_what_success_is(differences: list[Difference], said: str) -> None:
    assert next(differences_in_words(differences)) == f"wake 6 s: {said}"


def test_variants_with_other_patiences_are_each_counted_by_their_own(tmp_path: Path) -> None:
    varied = replace(
        SCENARIO, pools=("2+0",), variants=(Variant("waits"), Variant("leaves", patience_s=0.001)), control=False
    )
    found = played(varied, tmp_path)
    assert [one.patience_s for one in found.summaries] == [4.0, 0.001]
    waits, leaves = (one.answered_within or 0 for one in found.summaries)
    assert waits > leaves
    assert "answered within the patience" in findings(found.summaries)[0]
    assert "answered within the patience" in " ".join(markdown(compare([found])).split())


def test_the_postmortem_takes_the_storys_patience_unless_another_is_given(run: Run, without: Run) -> None:
    taken, given_s, default = incident(run), incident(run, patience_s=1.0), incident(without)
    assert (taken.patience.seconds, given_s.patience.seconds, default.patience.seconds) == (4.0, 1.0, 30.0)
    assert "within 4 s of its arrival (the story's patience)" in taken.patience.rule()
    assert taken.failures(taken.summaries).failed == sum(one.unanswered for one in taken.summaries)
