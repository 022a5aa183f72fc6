"""Where two trials part: the first arrival, event and request that is not the same, on runs made for it and samples."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import load
from harness.analysis.load import Run
from harness.analysis.pairing import Pair, Side, pairs
from harness.analysis.parting import Parting, arrivals_of, part
from harness.analysis.parting_words import conditions, headline, sentences, shown, table, to_json
from harness.cli import coldstart
from harness.model.errors import UserError
from harness.results import read_table
from harness.shipped import shipped

SAMPLE = Path(str(shipped("results/sample")))
STORY = ("cold_burst", "--stack", "simulated", "--requests", "30", "--over", "3", "--no-charts", "--json")
SETTING = ("--pool", "3+0", "--wake", "4", "--set", "connection_timeout=5")

MakeRun = Callable[..., Run]


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    made: dict[tuple[str, ...], Run] = {}

    def run(*words: str) -> Run:
        if words not in made:
            out = tmp_path_factory.mktemp("runs")
            coldstart.main(["run", *STORY, *words, "--out", str(out)], standalone_mode=False)
            (folder,) = out.iterdir()
            made[words] = load(folder)
        return made[words]

    return run


def parted(a: Run, b: Run | None = None, *, tolerance_s: float = 0.0, **given: Any) -> Parting:
    (one, *_) = pairs(a, b, **given)
    return part(one, tolerance_s=tolerance_s)


def told(parting: Parting, tolerance_s: float = 0.0) -> str:
    return " ".join([headline(parting, tolerance_s=tolerance_s), *sentences(parting)])


def test_the_same_run_twice_has_no_difference_to_the_last_bit(make_run: MakeRun) -> None:
    run = make_run(*SETTING)
    for pair in pairs(run, run):
        parting = part(pair, tolerance_s=0.0)
        assert parting.is_alike
        assert conditions(parting) == []
        assert shown(parting) is None
        assert "Both did the same, exactly: 30 requests, and every event." in told(parting)


def test_one_setting_that_was_changed_is_named_and_so_is_the_first_request_that_it_changed(make_run: MakeRun) -> None:
    a, b = make_run(*SETTING), make_run("--pool", "3+0", "--wake", "4", "--set", "connection_timeout=3")
    parting = parted(a, b)
    assert "connection_timeout: 5 in A, 3 in B" in conditions(parting)
    assert "pool_timeout: 5 in A, 3 in B" in conditions(parting)
    assert parting.arrivals is None
    assert parting.outcome is not None
    rows = [run.requests[run.requests.trial == parting.pair.a.trial.number] for run in (a, b)]
    outcomes = [dict(zip(one.number, one.outcome, strict=True)) for one in rows]
    first = min(number for number in outcomes[0] if outcomes[0][number] != outcomes[1][number])
    assert parting.outcome.number == first == 0
    assert (parting.outcome.a["outcome"], parting.outcome.b["outcome"]) == ("ok", "connect_timeout")
    assert parting.outcome.parted_s == pytest.approx(3.0)
    assert parting.outcome.pool_at_arrival[0] == parting.outcome.pool_at_arrival[1]
    assert parting.following is not None
    assert sum(parting.following.outcomes[0].values()) == parting.following.requests == 30
    assert parting.following.lost == sum(outcomes[0][number] == "ok" != outcomes[1][number] for number in outcomes[0])
    assert "They part at request 0 of 30." in told(parting)
    assert f"B saves 0 that fail in A, and loses {parting.following.lost} that are ok in A." in told(parting)
    assert ("connect", "4.0 s", "3.0 s") in table(parting.outcome)


def test_two_configurations_of_one_run_are_laid_side_by_side(make_run: MakeRun) -> None:
    run = make_run("--pool", "3+0", "--pool", "10+5", "--wake", "4", "--set", "connection_timeout=3")
    named = parted(run, pools=("3+0", "10+5"))
    assert told(named) == told(parted(run)), "a run of two needs no --pool"
    swapped = parted(run, pools=("10+5", "3+0 connection_timeout=3"))
    assert named.following is not None
    assert swapped.following is not None
    assert (named.following.saved, named.following.lost) == (swapped.following.lost, swapped.following.saved)
    assert not any(one.what.startswith(("stack", "version", "machine")) for one in named.conditions)
    assert {one.what for one in named.conditions} == {"pool_size", "max_overflow"}


def test_the_first_event_that_differs_has_its_moment_on_both_sides(make_run: MakeRun) -> None:
    a, b = make_run(*SETTING), make_run("--pool", "3+0", "--wake", "4.5", "--set", "connection_timeout=5")
    parting = parted(a, b)
    assert parting.event is not None
    assert parting.event.event == "woken"
    assert parting.event.a is not None
    assert parting.event.b is not None
    assert parting.event.b["at_s"] - parting.event.a["at_s"] == pytest.approx(0.5)
    assert "the wake's latency_s: 4 in A, 4.5 in B" in conditions(parting)
    assert "The first event that differs is woken: at" in told(parting)
    assert part(parting.pair, tolerance_s=0.6).event is None, "within the tolerance they are the same"
    assert part(parting.pair, tolerance_s=0.6).is_alike


def test_an_event_that_only_one_has_is_named_with_its_side(make_run: MakeRun) -> None:
    parting = parted(make_run(*SETTING), make_run(*SETTING), wakes=("4", "awake"))
    assert parting.event is not None
    assert (parting.event.event, parting.event.b) == ("suspended", None)
    assert "only A has it" in told(parting)


def test_other_seeds_have_other_arrivals_and_nothing_else_is_compared(make_run: MakeRun) -> None:
    a, b = make_run(*SETTING), make_run(*SETTING, "--seed", "2")
    parting = parted(a, b)
    assert parting.arrivals is not None
    assert parting.arrivals.number == 0
    assert (parting.outcome, parting.event, parting.following) == (None, None, None)
    assert not parting.is_alike
    assert "The arrivals part at request 0: these trials can't be compared request by request." in told(parting)
    assert conditions(parting)[-1] == "seed: 1 in A, 2 in B"


def test_arrivals_that_end_earlier_part_at_the_first_that_is_missing(make_run: MakeRun) -> None:
    words = (*SETTING, "--arrivals", "at_once")
    parting = parted(make_run(*words, "--requests", "12"), make_run(*words, "--requests", "20"))
    assert parting.arrivals is not None
    assert (parting.arrivals.number, parting.arrivals.a) == (12, None)
    assert "In A there is no request 12: the last is 11." in told(parting)


def test_planned_arrivals_are_those_of_the_rows() -> None:
    run = load(SAMPLE / "simulated")
    trial = run.trials[0]
    rows = run.of(trial, "requests").sort_values("number")
    planned = arrivals_of(trial)
    assert [arrival.at_s for arrival in planned] == pytest.approx(list(rows.arrival_s), abs=1e-6)
    assert [arrival.request.value for arrival in planned] == list(rows.request)


def test_a_run_that_was_cut_short_is_compared_as_far_as_it_went(make_run: MakeRun, tmp_path: Path) -> None:
    whole = make_run(*SETTING)
    folder = tmp_path / "cut"
    shutil.copytree(whole.folder, folder)
    # As a kill leaves it: JSON lines, and a manifest that says the trial has not ended.
    rows = [row for row in read_table(folder, "requests").to_pylist() if row["trial"] == 0 and row["number"] < 7]
    (folder / "requests.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    document = json.loads((folder / "manifest.json").read_text())
    document["status"] = "aborted"
    document["trials"][0]["wall_s"] = None
    (folder / "manifest.json").write_text(json.dumps(document))
    found = pairs(whole, load(folder))
    assert len(found) == 1, "the control was never begun"
    parting = part(found[0], tolerance_s=0.0)
    assert (parting.requests, parting.only) == (7, (23, 0))
    assert not parting.is_alike
    assert "status: complete in A, aborted, and this trial was cut short in B" in conditions(parting)
    assert "They are alike as far as both went: 7 requests." in told(parting)
    assert "23 requests ended in A alone: the other trial was cut short before." in told(parting)


def test_controls_alone_can_be_compared(make_run: MakeRun) -> None:
    run = make_run("--pool", "3+0", "--pool", "10+5", "--wake", "always-on")
    parting = parted(run)
    assert parting.outcome is None
    awake = parted(make_run(*SETTING), make_run(*SETTING), wakes=("awake",))
    assert awake.is_alike
    assert awake.pair.a.trial.is_control


def test_simulated_and_real_runs_meet_the_same_arrivals_and_their_difference_is_named() -> None:
    simulated, embedded = load(SAMPLE / "simulated"), load(SAMPLE / "embedded")
    found = pairs(simulated, embedded)
    assert {str(pair.a) for pair in found} == {str(pair.b) for pair in found}
    for pair in found:
        parting = part(pair, tolerance_s=0.05)
        assert parting.arrivals is None
        assert parting.requests == 200
        assert any(line == "stack: simulated in A, embedded in B" for line in conditions(parting))
        assert parting.event is None or parting.event.at_s > 0, "how long setting up takes is not compared"
        json.dumps(to_json(parting), allow_nan=False)
        assert part(pair, tolerance_s=60.0).is_alike or part(pair, tolerance_s=60.0).outcome is not None


def test_what_differs_by_less_than_is_shown_is_shown_with_the_figures_that_tell_it() -> None:
    simulated, embedded = load(SAMPLE / "simulated"), load(SAMPLE / "embedded")
    parting = parted(simulated, embedded, tolerance_s=0.0, pools=("10+5",), wakes=("8",))
    assert parting.latency is not None
    for name, a, b in table(parting.latency):
        values = [parting.latency.a.get(f"{name}_s"), parting.latency.b.get(f"{name}_s")]
        if None not in values and values[0] != values[1]:
            assert a != b, name


def test_saved_and_lost_and_the_mean_are_counted_from_the_rows() -> None:
    run = load(SAMPLE / "simulated")
    parting = parted(run, pools=("5+0", "15+5"), wakes=("12",), tolerance_s=0.05)
    assert parting.following is not None
    a, b = (
        run.of(side.trial, "requests").set_index("number").loc[parting.following.first :]
        for side in (parting.pair.a, parting.pair.b)
    )
    assert parting.following.saved == ((a.outcome != "ok") & (b.outcome == "ok")).sum()
    assert parting.following.lost == ((a.outcome == "ok") & (b.outcome != "ok")).sum()
    both = (a.outcome == "ok") & (b.outcome == "ok")
    assert min(parting.following.saved, parting.following.lost, both.sum()) > 0
    assert parting.following.longer_s == pytest.approx((b.latency_s - a.latency_s)[both].mean())


def test_a_pool_that_was_not_seen_is_said_to_be_so(make_run: MakeRun) -> None:
    run = make_run(*SETTING)
    unseen = replace(run, tables={**run.tables, "pool": run.tables["pool"].slice(0, 0)})
    other = make_run("--pool", "3+0", "--wake", "4", "--set", "connection_timeout=3")
    (pair, *_) = pairs(run, other)
    parting = part(Pair(Side(unseen, pair.a.trial), pair.b), tolerance_s=0.0)
    assert parting.outcome is not None
    assert parting.outcome.pool_at_arrival[0] is None
    assert table(parting.outcome)[-1][1] == "not seen"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["results/sample/incident"], "is one run, and two trials are to be compared"),
        (["results/sample/incident", "results/sample/embedded"], "the runs have no wake in common"),
        (["results/sample/embedded", "--pool", "7+0", "--pool", "10+5"], "the run has no such configuration"),
        (["results/sample/embedded", "--pool", "5+0", "--pool", "10+5", "--wake", "9"], "the run has no such wake"),
        (["results/sample/embedded", "--pool", "5+0", "--pool", "10+5", "--seed", "9"], "the run has no such seed"),
        (["results/sample/incident", "--pool", "5+0", "--pool", "10+5"], "is the size of 3 configurations"),
        (["results/sample/embedded"] * 3, "3 runs are too many"),
        (["results/sample/embedded", "--tolerance", "-1"], "tolerance must be 0 or positive"),
        (["results/sample/embedded", *("--pool", "10+5") * 3], "is given 3 times"),
        (["results/nothing"], "nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cant_be_compared_is_refused_in_words(
    words: Sequence[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAMPLE.parent.parent)
    with pytest.raises(UserError) as refused:
        coldstart.main(["diff", *words], standalone_mode=False)
    assert says in str(refused.value)


def test_the_command_ends_as_diff_does_and_its_document_has_every_pair(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = make_run(*SETTING), make_run("--pool", "3+0", "--wake", "4", "--set", "connection_timeout=3")
    capsys.readouterr()
    assert coldstart.main(["diff", str(a.folder), str(a.folder), "--json"], standalone_mode=False) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["alike"]
    assert len(document["pairs"]) == 2
    assert coldstart.main(["diff", str(a.folder), str(b.folder), "--json"], standalone_mode=False) == 1
    document = json.loads(capsys.readouterr().out)
    assert [pair["alike"] for pair in document["pairs"]] == [False, True], "awake, no timeout matters"
    assert document["pairs"][0]["outcome"]["number"] == 0
    assert coldstart.main(["diff", str(a.folder), str(b.folder)], standalone_mode=False) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "They part at request 0 of 30." in printed
    assert "1 of 2 pairs of trials differs: this one." in printed
