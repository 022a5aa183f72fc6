"""`coldstart resume`: a run that was cut short goes on, nothing is played twice, its rows are those of a whole one."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import Run, load
from harness.model.errors import StackError, UserError
from harness.model.status import RunStatus
from harness.results import RunWriter, find_run
from harness.results.ended import ENDED, read_ended
from harness.results.lock import LOCK
from harness.results.read import TABLES

KILLED_AT = """
import os, signal, sys
from harness.results import writer
at, sys.argv = int(sys.argv[1]), ["coldstart", *sys.argv[2:]]
append, calls = writer.RunWriter._append, 0
def appending(self, table, lines):
    global calls
    calls += 1
    if calls == at:
        # Half a line, as a disk may have it.
        self._spools[table].write(lines[: len(lines) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, table, lines)
writer.RunWriter._append = appending
from harness.__main__ import main
main()
"""
SWEEP = ["sweep", "cold_burst", "--pool-size", "2:6:2", "--max-overflow", "0:1:1", "--wake", "2", "--requests", "20",
         "--over", "1", "--no-charts", "--parallel", "1"]  # fmt: skip
APPENDS = 4
"""Of a trial: three tables, and that it has ended."""
TRIALS = 12


def run(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=100, cwd=cwd)


def coldstart(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return run("-m", "harness", *words, cwd=cwd)


def killed(at: int, cwd: Path, *words: str) -> Path:
    done = run("-c", KILLED_AT, f"{at}", *(words or SWEEP), cwd=cwd)
    assert done.returncode == -signal.SIGKILL
    return find_run(runs=cwd / "results" / "runs")


def changed(folder: Path, **changes: Any) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


def said(output: str) -> list[str]:
    return [line for line in output.splitlines() if not line.startswith("Results: ")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    folder = tmp_path_factory.mktemp("whole")
    done = coldstart(*SWEEP, cwd=folder)
    assert done.returncode == 0
    return load(find_run(runs=folder / "results" / "runs")), done.stdout


# In the middle of a trial's first, second and third table, of its end, and of the first and the last trial.
@pytest.mark.parametrize("at", [1, 2, 4, 4 * APPENDS + 1, 4 * APPENDS + 2, 4 * APPENDS + 3, 4 * APPENDS + 4, 48])
def test_a_sweep_that_was_killed_goes_on_and_its_rows_are_those_of_a_whole_one(
    tmp_path: Path, whole: tuple[Run, str], at: int
) -> None:
    folder = killed(at, tmp_path)
    had = load(folder)
    assert had.manifest.status is RunStatus.KILLED
    assert len(had.manifest.ended) == (at - 1) // APPENDS
    assert sum(summary.complete for summary in had.summaries) == (at - 1) // APPENDS
    done = coldstart("resume", "--no-charts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    left = TRIALS - (at - 1) // APPENDS
    assert done.stderr.splitlines()[0].startswith(f"{TRIALS - left} of {TRIALS} trials are kept; {left} are played, ")
    # Each of the others once, and no other.
    assert [line.split("/")[0] for line in done.stderr.splitlines()[1:]] == [f"{n}" for n in range(1, left + 1)]
    ended = load(folder)
    assert ended.manifest.status is RunStatus.COMPLETE
    for name in TABLES:
        assert ended.tables[name].equals(whole[0].tables[name]), name
    assert said(done.stdout) == said(whole[1])
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole[0].folder.iterdir()}


def test_one_that_is_killed_again_and_again_ends_all_the_same(tmp_path: Path, whole: tuple[Run, str]) -> None:
    folder = killed(2 * APPENDS, tmp_path)
    for ended in (2, 3):
        # Each time in the middle of the line that says that a second trial has ended.
        killed(2 * APPENDS, tmp_path, "resume", "--no-charts")
        assert len(load(folder).manifest.ended) == ended
    assert coldstart("resume", "--no-charts", cwd=tmp_path).returncode == 0
    run_ = load(folder)
    assert all(run_.tables[name].equals(whole[0].tables[name]) for name in TABLES)
    assert [note for note in run_.manifest.notes if note.startswith("resumed")] == [
        f"resumed: {kept} of {TRIALS} trials are kept" for kept in (1, 2, 3)
    ]


@pytest.mark.parametrize("at", range(1, 9))
def test_a_kill_while_it_is_taken_up_again_loses_no_trial(tmp_path: Path, whole: tuple[Run, str], at: int) -> None:
    # An aborted run has Parquet files, which become lines again: kill at each of the steps.
    folder = killed(3 * APPENDS, tmp_path)
    taking_up = f"""
import os, pathlib, signal
from pathlib import Path
from harness.results import writer
count = 0
def counted(real):
    def call(*rest, **more):
        global count
        count += 1
        if count == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*rest, **more)
    return call
pathlib.Path.replace, pathlib.Path.unlink = counted(pathlib.Path.replace), counted(pathlib.Path.unlink)
writer.RunWriter.resume(Path({str(folder)!r}), parallel=1, note="resumed")
"""
    closing = RunWriter.resume(folder, parallel=1, note="resumed")
    closing.close(RunStatus.ABORTED)
    assert load(folder).manifest.status is RunStatus.ABORTED
    killed_there = run("-c", taking_up, cwd=tmp_path)
    assert killed_there.returncode in (-signal.SIGKILL, 0), killed_there.stderr
    assert len(load(folder).manifest.ended) == 2
    assert coldstart("resume", "--no-charts", cwd=tmp_path).returncode == 0
    assert all(load(folder).tables[name].equals(whole[0].tables[name]) for name in TABLES)


def test_in_real_time_what_was_measured_is_kept_and_the_rest_is_measured(tmp_path: Path) -> None:
    words = ["run", "cold_burst", "--stack", "embedded", "--pool", "2+0", "--pool", "3+0", "--wake", "1", "--requests",
             "10", "--over", "1", "--parallel", "1", "--no-preview", "--no-charts", "--no-control"]  # fmt: skip
    done = run("-c", KILLED_AT.replace("SIGKILL", "SIGTERM"), "9999", *words, cwd=tmp_path)
    assert done.returncode in (0, 1, 5), done.stderr
    folder = find_run(runs=tmp_path / "results" / "runs")
    first = load(folder)
    # As if a power cut had come after the first of its two trials.
    changed(folder, status="aborted", trials=[
        {**trial, "wall_s": trial["wall_s"] if trial["number"] == 0 else None}
        for trial in json.loads((folder / "manifest.json").read_text())["trials"]
    ])  # fmt: skip
    done = coldstart("resume", "--no-charts", cwd=tmp_path)
    assert done.returncode in (0, 1, 5), done.stderr
    second = load(folder)
    assert second.manifest.status is RunStatus.COMPLETE
    assert all(summary.complete for summary in second.summaries)
    kept = first.tables["requests"].to_pylist()
    now = second.tables["requests"].to_pylist()
    assert [row for row in now if row["trial"] == 0] == [row for row in kept if row["trial"] == 0]
    assert [row for row in now if row["trial"] == 1] != [row for row in kept if row["trial"] == 1]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"status": "complete"}, "is complete: nothing is left to play (allowed: a run that was cut short)"),
        ({"stack": "target"}, "its application and database are not as they were (allowed: to play it anew)"),
        ({"stack": "of another version"}, "stack can't be 'of another version'"),
        ({"versions": {}}, "was begun with coldstart None, here it is "),
        ({"trials": []}, "the DATABASE_ variables are not what they were (allowed: to play it anew)"),
    ],
)
def test_what_would_not_be_comparable_is_not_resumed(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    folder = killed(APPENDS, tmp_path)
    changed(folder, **changes)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = coldstart("resume", f"{folder}", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert line in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_what_was_measured_is_not_resumed_on_a_scheduler(tmp_path: Path) -> None:
    folder = killed(APPENDS, tmp_path)
    plan = json.loads((folder / "manifest.json").read_text())["plan"]
    changed(folder, stack="embedded", plan={**plan, "real_time": True})
    done = coldstart("resume", "--scheduler", "tcp://127.0.0.1:1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2, "coldstart: --scheduler: a run on the embedded stack is not played on it\n"
    )  # fmt: skip


def test_another_machine_does_not_measure_the_rest_but_simulates_it(tmp_path: Path) -> None:
    folder = killed(APPENDS, tmp_path)
    changed(folder, machine={"cores": 1})
    assert coldstart("resume", "--no-charts", cwd=tmp_path).returncode == 0
    plan = json.loads((folder / "manifest.json").read_text())["plan"]
    changed(folder, status="aborted", stack="embedded", plan={**plan, "real_time": True})
    done = coldstart("resume", cwd=tmp_path)
    assert done.returncode == 2
    assert "here it is" in done.stderr


def test_two_do_not_go_on_with_one_run(tmp_path: Path) -> None:
    folder = killed(APPENDS, tmp_path)
    one = RunWriter.resume(folder, parallel=1, note="resumed")
    assert load(folder).manifest.status is RunStatus.RUNNING
    with pytest.raises(UserError, match="is being written by another process"):
        RunWriter.resume(folder, parallel=1, note="resumed")
    assert "is running: it is under way" in coldstart("resume", cwd=tmp_path).stderr
    one.close(RunStatus.ABORTED)
    assert not (folder / LOCK).exists()


def test_a_disk_that_is_full_as_it_is_taken_up_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = killed(3 * APPENDS, tmp_path)
    rows = load(folder).tables["requests"]

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("harness.results.writer.lines_of_rows", full)
        with pytest.raises(StackError, match="can't be written: No space left on device"):
            RunWriter.resume(folder, parallel=1, note="resumed")
    run_ = load(folder)
    assert (run_.manifest.status, len(run_.manifest.ended)) == (RunStatus.KILLED, 2)
    assert run_.tables["requests"].equals(rows)
    RunWriter.resume(folder, parallel=1, note="resumed").close(RunStatus.ABORTED)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"trial":0}\n', "has a line that is no trial's end"),
        (b'{"trial":0,"wall_s":-1}\n', "has a line that is no trial's end"),
        (b"\xff\xfe\n", "has a line that is no trial's end"),
        (b'{"trial":7,"wall_s":1}\n', "names trial 7, which the run has not"),
        (b"[" * 100_000 + b"\n", "has a line that is no trial's end"),
    ],
)
def test_a_file_of_ends_that_somebody_changed_is_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    (tmp_path / f"{ENDED}.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=line):
        read_ended(tmp_path, {0, 1})


def test_an_end_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    (tmp_path / f"{ENDED}.jsonl").write_bytes(b'{"trial":0,"wall_s":1.5}\n{"trial":1,"wa')
    assert read_ended(tmp_path, {0, 1}) == {0: 1.5}
