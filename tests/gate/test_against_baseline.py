"""A run beside its baseline: the same arrivals in pairs, what is chance, and nothing compared in silence."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis import Run, load
from harness.analysis.statistics import sign_test
from harness.gate.baseline import Against, against
from harness.gate.differing import seeds_in_words
from harness.gate.sentences import change_in_words
from harness.model.objective import read_objective
from harness.model.patience import Patience
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.status import RunStatus
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.results import RunWriter

REQUESTS = 20
SCENARIO = Scenario(
    name="kept",
    wake=(profile("neon", latency_s=8.0),),
    pools=("5+0",),
    timeline=(Warm(), Suspend(), Burst(requests=REQUESTS, over_s=20)),
)
OBJECTIVES = [read_objective("failed<1%"), read_objective("max<4s")]
End = tuple[str, float]
Ends = Callable[[Trial, int], End]


def always(outcome: str, latency_s: float) -> Ends:
    return lambda _trial, _number: (outcome, latency_s)


def failing(**by_seed: Sequence[int]) -> Ends:
    """Requests that fail, by seed: `failing(s1=[3, 4])`."""

    def ends(trial: Trial, number: int) -> End:
        return ("pool_timeout", 3.0) if number in by_seed.get(f"s{trial.seed}", ()) else ("ok", 0.5)

    return ends


def written(
    out: Path,
    ends: Ends | None = None,
    *,
    scenario: Scenario = SCENARIO,
    pools: Sequence[str] = ("5+0",),
    versions: Mapping[str, str] | None = None,
    first_arrival_s: float = 0.0,
    **overrides: Any,
) -> Run:
    chosen = tuple(PoolConfiguration.from_short(pool) for pool in pools)
    plan = PlannedRun(scenario=scenario, overrides=Overrides(pools=chosen, control=False, **overrides))
    writer = RunWriter.create(out, plan=plan, stack="simulated", versions=versions or {}, parallel=1)
    for trial in plan.trials:
        rows = []
        for number in range(sum(burst.requests for burst in trial.story.bursts)):
            outcome, latency_s = ("ok", 0.5) if ends is None else ends(trial, number)
            arrival_s = first_arrival_s + number + trial.seed / 10
            rows.append({
                "number": number, "request": "read_track", "arrival_s": arrival_s, "start_s": arrival_s,
                "end_s": arrival_s + latency_s, "latency_s": latency_s, "outcome": outcome,
                "error": None if outcome == "ok" else "TimeoutError",
            })  # fmt: skip
        writer.add_requests(trial.number, rows)
        writer.trial_ended(trial.number, wall_s=0.1)
    writer.close(RunStatus.COMPLETE)
    return load(writer.folder)


def compared(before: Run, now: Run, patience_s: float = 30.0) -> Against:
    return against(before, now, OBJECTIVES, patience=Patience(patience_s, "a test's"))


def words(before: Run, now: Run) -> str:
    found = compared(before, now)
    assert found.left_out == ()
    (change,) = found.changes
    return change_in_words(change)


def test_a_replay_that_differs_in_nothing_says_so(tmp_path: Path) -> None:
    before, now = written(tmp_path, repeat=3), written(tmp_path, repeat=3)
    assert words(before, now) == (
        "wake 8 s, 5+0: no difference, each of the 60 requests ends exactly as in the baseline."
    )
    assert compared(before, now).differs == ()
    json.dumps(compared(before, now).to_json(), allow_nan=False)


def test_one_request_that_takes_a_microsecond_longer_is_not_no_difference(tmp_path: Path) -> None:
    now = written(tmp_path, lambda _, number: ("ok", 0.500001 if number == 3 else 0.5))
    assert words(written(tmp_path), now) == "wake 8 s, 5+0: no request fails, nor did one in the baseline."


def test_another_failure_of_the_same_request_is_not_no_difference(tmp_path: Path) -> None:
    other = written(tmp_path, lambda _, number: ("connect_timeout", 3.0) if number == 3 else ("ok", 0.5))
    said = words(written(tmp_path, failing(s1=[3])), other)
    assert said == "wake 8 s, 5+0: the same request of 20 fails as in the baseline."


def test_saved_and_lost_requests_are_counted_with_the_sign_test_over_seeds(tmp_path: Path) -> None:
    before = written(tmp_path, failing(s1=[1], s2=[2], s3=[3], s4=[4]), repeat=5)
    assert words(before, written(tmp_path, repeat=5)) == (
        "wake 8 s, 5+0: better than the baseline: of 100 requests 4 are saved and none is lost; "
        "better in 4 of 5 seeds, worse in none; on other arrivals it can be chance (sign test over the seeds: "
        "p = 0.12)."
    )
    many = {f"s{seed}": [1] for seed in range(1, 7)}
    said = words(written(tmp_path, repeat=6), written(tmp_path, failing(**many), repeat=6))
    assert "worse than the baseline: of 120 requests none is saved and 6 are lost; worse in 6 of 6 seeds" in said
    assert "not by chance (sign test over the seeds: p = 0.031)" in said


def test_one_seed_is_known_of_its_arrivals_only_and_is_never_called_chance(tmp_path: Path) -> None:
    said = words(written(tmp_path, failing(s1=[1, 2, 3])), written(tmp_path))
    assert said == (
        "wake 8 s, 5+0: better than the baseline: of 20 requests 3 are saved and none is lost; "
        "one seed, so this is known of its arrivals only."
    )


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ({"s1": [1]}, {"s1": [2]}, "neither better nor worse than the baseline: of 20 requests 1 is saved and 1 is"),
        ({"s1": range(REQUESTS)}, {"s1": range(REQUESTS)}, "no difference, each of the 20 requests ends exactly as in"),
        ({"s1": range(REQUESTS)}, {}, "better than the baseline: of 20 requests 20 are saved and none is lost"),
        ({}, {"s1": range(REQUESTS)}, "worse than the baseline: of 20 requests none is saved and 20 are lost"),
    ],
)  # fmt: skip
def test_the_extremes_are_said_as_they_are(
    tmp_path: Path, before: dict[str, Sequence[int]], now: dict[str, Sequence[int]], says: str
) -> None:
    assert says in words(written(tmp_path, failing(**before)), written(tmp_path, failing(**now)))


def test_which_way_it_goes_may_depend_on_the_arrivals(tmp_path: Path) -> None:
    said = words(written(tmp_path, failing(s1=[1]), repeat=2), written(tmp_path, failing(s2=[1]), repeat=2))
    assert "better or worse than the baseline, which depends on the arrivals: of 40 requests" in said
    assert "better in 1 of 2 seeds, worse in 1; on other arrivals it can be chance" in said


def test_every_request_that_fails_alike_later_is_said_without_a_time(tmp_path: Path) -> None:
    before = written(tmp_path, always("pool_timeout", 3.0))
    now = written(tmp_path, always("pool_timeout", 4.0))
    assert words(before, now) == "wake 8 s, 5+0: every request fails, as in the baseline."


def test_longer_answers_are_named_and_an_answer_after_the_patience_is_lost(tmp_path: Path) -> None:
    before, now = written(tmp_path), written(tmp_path, always("ok", 2.5))
    assert "nor did one in the baseline; a request that is ok in both takes 2.00 s longer on average" in words(
        before, now
    )
    assert "2.00 s shorter" in words(now, before)
    (change,) = compared(before, now, patience_s=2.0).changes
    assert (change.effect.lost, change.failed_before) == (REQUESTS, 0)
    assert change.values == {"failed<1%": 0.0, "max<4s": 0.5}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    before=st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=4),
    now=st.lists(st.sets(st.integers(0, 3)), min_size=4, max_size=4),
)
def test_any_two_runs_are_counted_by_hand(tmp_path: Path, before: list[set[int]], now: list[set[int]]) -> None:
    seeds = len(before)
    fails = [failing(**{f"s{seed}": sorted(one) for seed, one in enumerate(each, 1)}) for each in (before, now)]
    small = replace(SCENARIO, timeline=(Warm(), Suspend(), Burst(requests=4, over_s=20)))
    first, second = (written(tmp_path, ends, scenario=small, repeat=seeds) for ends in fails)
    (change,) = compared(first, second).changes
    saved = [len(old - new) for old, new in zip(before, now, strict=False)]
    lost = [len(new - old) for old, new in zip(before, now, strict=False)]
    effect = change.effect
    assert (effect.saved, effect.lost, effect.requests) == (sum(saved), sum(lost), 4 * seeds)
    better = sum(one > other for one, other in zip(saved, lost, strict=True))
    worse = sum(one < other for one, other in zip(saved, lost, strict=True))
    assert effect.chance == sign_test(better, worse)
    said = change_in_words(change)
    assert ("no difference" in said) == (before == now[:seeds])
    assert not re.search(r"\bnan\b|\b1 are\b|\b1 requests\b", said), said


def test_a_pool_whose_settings_changed_is_compared_with_the_one_that_is_left(tmp_path: Path) -> None:
    before = written(tmp_path, failing(s1=[1]), pools=("5+0", "15+5"))
    now = written(tmp_path, pools=("15+5", "10+5"))
    found = compared(before, now)
    assert [(one.configuration, one.before) for one in found.changes] == [("15+5", "15+5"), ("10+5", "5+0")]
    assert change_in_words(found.changes[1]).startswith(
        "wake 8 s, 10+5 (in the baseline 5+0): better than the baseline"
    )
    assert (found.left_out, found.differs) == ((), ())


def test_a_pool_is_known_by_its_settings_and_not_by_how_they_are_written(tmp_path: Path) -> None:
    scenario = replace(SCENARIO, pools=("5+0", "10+0"))
    before = written(tmp_path, scenario=scenario, pools=("5+0", "10+0"))
    now = written(tmp_path, scenario=scenario, pools=("10+0", "5+0"), settings={"pool_timeout": "10"})
    assert {(one.configuration.split()[0], one.before.split()[0]) for one in compared(before, now).changes} == {
        ("10+0", "10+0"),
        ("5+0", "5+0"),
    }


def test_what_cant_be_paired_is_left_out_by_name(tmp_path: Path) -> None:
    before = written(tmp_path, pools=("5+0", "15+5"))
    found = compared(before, written(tmp_path, pools=("1+0", "2+0", "3+0")))
    assert found.changes == ()
    assert found.left_out[0] == "wake 8 s, 1+0: not compared, the baseline has no such pool (it has 5+0 and 15+5)."
    other_wake = replace(SCENARIO, wake=(profile("neon", latency_s=12.0),))
    (said,) = compared(before, written(tmp_path, scenario=other_wake)).left_out
    assert said == "wake 12 s: not compared, the baseline has no such wake (it has wake 8 s)."
    (said,) = compared(written(tmp_path, seed=1), written(tmp_path, seed=5)).left_out
    assert said == "wake 8 s, 5+0: not compared, no seed was played in both."
    (said,) = compared(written(tmp_path), written(tmp_path, first_arrival_s=0.25)).left_out
    assert said == "wake 8 s, 5+0: not compared, the arrivals are others (seed 1)."
    more = replace(SCENARIO, timeline=(Warm(), Suspend(), Burst(requests=REQUESTS + 1, over_s=20)))
    found = compared(written(tmp_path), written(tmp_path, scenario=more))
    assert found.left_out == ("wake 8 s, 5+0: not compared, the arrivals are others (seed 1).",)
    assert found.differs == ("story: timeline",)


def test_a_baseline_that_was_cut_short_is_no_measurement(tmp_path: Path) -> None:
    longer = replace(SCENARIO, timeline=(Warm(), Suspend(), Burst(requests=REQUESTS, over_s=20)))
    before, now = written(tmp_path, scenario=longer), written(tmp_path)
    document = json.loads((before.folder / "manifest.json").read_text())
    document["trials"][0]["wall_s"] = None
    (before.folder / "manifest.json").write_text(json.dumps(document))
    (said,) = compared(load(before.folder), now).left_out
    assert said == "wake 8 s, 5+0: not compared, the baseline is no measurement: a trial was cut short."
    (said,) = compared(now, load(before.folder)).left_out
    assert said == "wake 8 s, 5+0: not compared, this run is no measurement: a trial was cut short."


def test_what_the_two_runs_differ_in_is_said(tmp_path: Path) -> None:
    before = written(tmp_path, versions={"asyncpg": "0.31", "gone": "1"}, seed=1, repeat=5)
    now = written(
        tmp_path, versions={"asyncpg": "0.32"}, seed=3, repeat=5, service_time_s=0.25,
        scenario=replace(SCENARIO, name="renamed"),
    )  # fmt: skip
    found = compared(before, now)
    assert found.differs == (
        "versions: asyncpg 0.31 → 0.32 and gone 1 → none",
        "scenario: kept in the baseline, now renamed",
        "story: service_time_s none → 0.25",
        "seeds: 1 to 5 in the baseline, now 3 to 7",
    )
    assert [seed.seed for seed in found.changes[0].effect.seeds] == [3, 4, 5]


def test_another_machine_and_another_commit_are_said(tmp_path: Path) -> None:
    before, now = written(tmp_path), written(tmp_path)
    before.manifest.machine["cores"] = 64
    before.manifest.git_commit = "0123456789abcdef0123+changes"
    now.manifest.git_commit = None
    commit, machine = compared(before, now).differs
    assert commit == "commit of coldstart: 0123456789ab+changes in the baseline, now none"
    assert machine == f"machine: cores 64 → {now.manifest.machine['cores']}"


@pytest.mark.parametrize(
    ("seeds", "says"), [({1}, "1"), ({1, 2}, "1 and 2"), ({3, 4, 5}, "3 to 5"), ({1, 2, 9}, "1, 2 and 9")]
)
def test_seeds_are_named_in_few_words(seeds: set[int], says: str) -> None:
    assert seeds_in_words(seeds) == says
