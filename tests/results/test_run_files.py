"""The files of a run: written as it goes, whole or readable whatever happens, and read back in one call."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import load
from harness.analysis.judge import judge
from harness.model.columns import EVENTS, POOL, REQUESTS, Column
from harness.model.errors import StackError, UserError
from harness.model.expectation import Verdict
from harness.model.plan import PlannedRun
from harness.model.status import RunStatus
from harness.model.summary import SUMMARY
from harness.model.wake import profile
from harness.results import RunWriter, find_run
from harness.results.writer import RESERVE
from harness.scenario import Burst, Scenario, Suspend, Warm, at_least, none

SCENARIO = Scenario(
    name="small",
    wake=profile("neon", latency_s=2.0),
    pools=("5+0",),
    timeline=(Warm(), Suspend(), Burst(requests=4, over_s=2)),
    expect={"5+0": (at_least("pool_timeout", count=1), none("connect_timeout"))},
)
PLAN = PlannedRun(scenario=SCENARIO, real_time=True)


def writer(out: Path) -> RunWriter:
    return RunWriter.create(out, plan=PLAN, stack="embedded", versions={"sqlalchemy": "2"}, parallel=1, argv=["run"])


def request(number: int, **changes: Any) -> dict[str, Any]:
    arrival_s = 0.1 * number
    row = {
        "number": number, "request": "read_track", "arrival_s": arrival_s, "start_s": arrival_s + 0.001,
        "end_s": arrival_s + 1.0, "latency_s": 1.0, "outcome": "ok", "error": None, "status": 200,
        "checkout_s": 0.5, "connect_s": 0.0, "ping_s": 0.0, "query_s": 0.1,
    }  # fmt: skip
    return {**row, **changes}


def sample(at_s: float, **changes: int) -> dict[str, Any]:
    counts = {"size": 5, "idle": 5, "checked_out": 0, "overflow": 0, "connecting": 0, "waiting": 0}
    return {"at_s": at_s, **counts, **changes}


def fill(run: RunWriter) -> None:
    run.add_requests(0, [request(1), request(0)])
    run.add_requests(0, [request(3, outcome="pool_timeout", error="TimeoutError", status=503, end_s=1.5)])
    run.add_requests(0, [request(2)])
    run.add_pool(0, [sample(0.0, checked_out=5), sample(1.2, checked_out=5, waiting=3), sample(2.5)])
    run.add_events(0, [{"at_s": 0.05, "event": "first_attempt", "value_s": 0.002, "detail": None}])
    run.add_events(0, [{"at_s": 2.1, "event": "woken", "value_s": 0.01, "detail": '{"x": 1}'}])


def test_a_run_is_read_back_in_one_call(tmp_path: Path) -> None:
    run = writer(tmp_path)
    fill(run)
    run.trial_ended(0, wall_s=3.5)
    run.close(RunStatus.COMPLETE)
    read = load(run.folder)
    assert list(read.requests["number"]) == [0, 1, 2, 3]
    assert read.manifest.status is RunStatus.COMPLETE
    assert [trial.pool.short for trial in read.trials] == ["5+0", "5+0"]
    (summary,) = read.summaries
    assert summary.outcomes == {"ok": 3, "pool_timeout": 1}
    assert summary.latency_s["p50"] == 1.0
    assert summary.woke_after_s == 2.1
    assert summary.recovered_after_s == 2.5
    assert summary.first_failure_s == 1.5
    assert summary.utilization_alert_s == 1.0
    assert summary.peak_waiting == 3
    assert summary.wake_late_s == {"detected": 0.002, "woken": 0.01}
    assert summary.wall_s == 3.5
    assert summary.complete
    assert read.summary.loc[0, "pool_timeout"] == 1
    assert read.summary.loc[0, "pool_timeout_s"] == read.trials[0].pool.queue_timeout_s
    assert not list(run.folder.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("name", "columns"), [("requests", REQUESTS), ("pool", POOL), ("events", EVENTS), ("summary", SUMMARY)]
)
def test_the_files_have_the_columns_that_are_documented(tmp_path: Path, name: str, columns: tuple[Column, ...]) -> None:
    run = writer(tmp_path)
    fill(run)
    run.close(RunStatus.COMPLETE)
    frame = getattr(load(run.folder), name)
    assert list(frame.columns) == [column.name for column in columns]
    for column in columns:
        assert column.nullable or frame[column.name].notna().all()


def test_the_same_rows_in_another_order_make_the_same_files(tmp_path: Path) -> None:
    forwards, backwards = writer(tmp_path / "a"), writer(tmp_path / "b")
    rows = [request(number) for number in range(4)]
    forwards.add_requests(0, rows)
    backwards.add_requests(0, rows[::-1])
    for run in (forwards, backwards):
        run.close(RunStatus.COMPLETE)
    assert (forwards.folder / "requests.parquet").read_bytes() == (backwards.folder / "requests.parquet").read_bytes()


def test_a_column_that_nobody_knows_is_a_bug(tmp_path: Path) -> None:
    run = writer(tmp_path)
    with pytest.raises(KeyError, match="requests has no column colour"):
        run.add_requests(0, [request(0, colour="red")])
    run.close(RunStatus.FAILED)


def test_a_killed_run_has_lost_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_run_files import fill, writer
run = writer(Path({str(tmp_path)!r}))
fill(run)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    run = load(find_run("newest", runs=tmp_path))
    assert run.manifest.status is RunStatus.KILLED
    assert len(run.requests) == 4
    assert len(run.pool) == 3
    assert not run.summaries[0].complete


def test_a_run_that_is_closed_without_memory_has_its_status_and_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    run = writer(tmp_path)
    fill(run)
    with monkeypatch.context() as patched:
        patched.setattr("pyarrow.parquet.write_table", no_memory)
        with pytest.raises(StackError) as raised:
            run.close(RunStatus.COMPLETE)
    assert str(raised.value) == f"{run.folder / 'requests.parquet'}: can't be written: out of memory"
    kept = load(run.folder)
    assert kept.manifest.status is RunStatus.FAILED
    assert len(kept.requests) == 4


def test_the_space_for_the_last_manifest_is_kept_until_the_tables_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved: list[int] = []
    run = writer(tmp_path)
    finish = RunWriter._finish

    def watched(self: RunWriter, name: str) -> None:
        reserved.append((run.folder / RESERVE).stat().st_size)
        finish(self, name)

    monkeypatch.setattr(RunWriter, "_finish", watched)
    run.close(RunStatus.COMPLETE)
    assert len(reserved) == 3
    assert min(reserved) >= (run.folder / "manifest.json").stat().st_size
    assert not (run.folder / RESERVE).exists()


def test_a_line_that_the_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    run = writer(tmp_path)
    fill(run)
    spool = run.folder / "requests.jsonl"
    spool.write_bytes(spool.read_bytes()[:-10])
    assert len(load(run.folder).requests) == 3
    run.close(RunStatus.FAILED)


def test_what_was_cut_short_is_never_a_pass(tmp_path: Path) -> None:
    run = writer(tmp_path)
    fill(run)
    run.close(RunStatus.ABORTED)
    verdicts = {one.statement: one.verdict for one in judge(PLAN, load(run.folder).summaries)}
    assert set(verdicts.values()) == {Verdict.UNKNOWN}


def test_a_generator_that_was_late_makes_the_verdict_unknown(tmp_path: Path) -> None:
    run = writer(tmp_path)
    fill(run)
    run.add_requests(1, [request(number, start_s=number * 0.1 + 0.6) for number in range(4)])
    for trial in (0, 1):
        run.trial_ended(trial, wall_s=1.0)
    run.close(RunStatus.COMPLETE)
    on_time, late = load(run.folder).summaries
    assert on_time.kept_schedule
    assert not late.kept_schedule


def test_a_run_is_found_by_its_path_its_id_and_the_beginning_of_it(tmp_path: Path) -> None:
    first, second = writer(tmp_path), writer(tmp_path)
    for run in (first, second):
        run.close(RunStatus.COMPLETE)
    assert find_run(first.folder, runs=tmp_path) == first.folder
    assert find_run(first.id, runs=tmp_path) == first.folder
    newest = max([first, second], key=lambda run: run.id)
    assert find_run("newest", runs=tmp_path) == newest.folder
    with pytest.raises(UserError, match="is the beginning of 2 runs"):
        find_run("2", runs=tmp_path)
    with pytest.raises(UserError, match="is no run"):
        find_run("nothing", runs=tmp_path)
    with pytest.raises(UserError, match="no runs yet"):
        find_run("newest", runs=tmp_path / "empty")


def test_a_disk_that_somebody_else_fills_as_a_run_is_closed_does_not_keep_its_end_from_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = writer(tmp_path)
    fill(run)
    opening = Path.open

    def full(path: Path, mode: str = "r", **more: Any) -> Any:
        # Nothing new finds a place; what is there already has one.
        if "manifest" in path.name and "w" in mode:
            raise OSError(28, "No space left on device")
        return opening(path, mode, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        run.close(RunStatus.ABORTED)
    kept = load(run.folder)
    assert kept.manifest.status is RunStatus.ABORTED
    assert (run.folder / "manifest.json").read_text().endswith("}\n")
    assert not (run.folder / RESERVE).exists()


def test_a_run_whose_reserve_somebody_removed_is_closed_all_the_same(tmp_path: Path) -> None:
    run = writer(tmp_path)
    fill(run)
    (run.folder / RESERVE).unlink()
    run.close(RunStatus.COMPLETE)
    assert load(run.folder).manifest.status is RunStatus.COMPLETE


def test_a_folder_that_cant_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be written: Not a directory"):
        writer(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "manifest.json can't be read: 'id' is missing"),
        ("[]", "manifest.json can't be read: "),
        ("{", "manifest.json can't be read: it is not JSON"),
        ('{"format": 2}', "manifest.json can't be read: something is missing in it"),
        ('{"format": 1}', "format 1, this one reads 2 and 3"),
        ('{"format": 99}', "format 99, this one reads 2 and 3"),
    ],
)
def test_a_broken_manifest_is_named_in_one_line_of_our_words(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError) as refused:
        load(tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not {"cattrs", "object is", "__init__", "NoneType"} & set(str(refused.value).split())


def test_a_wrong_value_deep_in_a_manifest_is_named_with_its_place(tmp_path: Path) -> None:
    run = writer(tmp_path)
    run.close(RunStatus.COMPLETE)
    path = run.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["plan"]["scenario"]["timeline"][2]["requests"] = "many"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"plan.scenario.timeline\[2\].requests: must be a whole number, got 'many'"):
        load(run.folder)


def test_a_run_under_way_says_so(tmp_path: Path) -> None:
    run = writer(tmp_path)
    assert load(run.folder).manifest.status is RunStatus.RUNNING
    assert run.manifest.pid == os.getpid()
    run.close(RunStatus.COMPLETE)
