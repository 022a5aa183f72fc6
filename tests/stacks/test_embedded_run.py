"""`coldstart run` on real parts, from the shell: what it prints, what it keeps, and what pulling the plug does."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.analysis import load
from harness.library import load_scenario
from harness.model.exit_status import EXIT_UNKNOWN
from harness.model.plan import Overrides, PlannedRun
from harness.model.status import RunStatus
from harness.postmortem.incident import incident
from harness.results import find_run
from harness.stacks.base import RunOptions
from harness.stacks.embedded import EmbeddedStack

PLAYED = (0, EXIT_UNKNOWN)
"""On a machine that does other things meanwhile a trial may be no measurement, which these tests do not need."""

RUN = [sys.executable, "-m", "harness", "run", "cold_burst", "--stack", "embedded", "--no-charts"]
SMALL = ["--pool", "2+1", "--wake", "1.5", "--requests", "40", "--over", "2"]
LONG = ["--pool", "2+1", "--wake", "20", "--requests", "40", "--over", "4", "--no-control"]


def document(out: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([*RUN, *arguments, "--out", str(out), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode in PLAYED, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.quiet
def test_the_document_has_every_trial_and_its_control(tmp_path: Path) -> None:
    found = document(tmp_path, *SMALL)
    (trial,) = found["trials"]
    (control,) = found["controls"]
    assert trial["pool"]["pool_size"] == 2
    assert trial["wake"] == {
        "profile": "neon", "latency_s": 1.5, "on_suspend": "terminate", "while_waking": "hold",
    }  # fmt: skip
    assert control["wake"] is None
    assert trial["outcomes"] == control["outcomes"] == {"ok": 40}
    assert trial["latency_s"]["max"] == pytest.approx(1.5, abs=0.6)
    assert control["latency_s"]["p50"] < 0.1
    assert trial["peak_checked_out"] == 3
    assert trial["peak_waiting"] > 10
    assert trial["kept_schedule"]
    assert trial["complete"]
    assert trial["doubts"] == control["doubts"] == []
    # Expectations speak of the file's own story and pools, not of these.
    assert [(expected["pool"], expected["verdict"]) for expected in found["expectations"]] == [("2+1", "unknown")]


@pytest.mark.quiet
def test_the_wake_is_detected_and_what_was_held_goes_on_within_50_ms(tmp_path: Path) -> None:
    late = [trial["wake_late_s"] for trial in document(tmp_path, *SMALL, "--no-control")["trials"]]
    assert set(late[0]) == {"detected", "woken", "first_released", "last_released"}
    assert max(value for one in late for value in one.values()) < 0.05


def test_every_pool_meets_the_same_arrivals_in_every_run(tmp_path: Path) -> None:
    runs = [load(document(tmp_path, *SMALL, "--pool", "1+0", "--no-control")["folder"]) for _ in range(2)]
    arrivals = [
        list(run.of(trial, "requests").sort_values("number")["arrival_s"].round(4))
        for run in runs
        for trial in run.trials
    ]
    assert len(arrivals) == 4
    assert all(one == arrivals[0] for one in arrivals)
    for run in runs:
        # A postmortem's clock: the burst began while the run was under way.
        began_at = incident(run).began_at()
        assert began_at is not None
        assert run.manifest.ended_at is not None
        assert run.manifest.started_at <= began_at.isoformat(timespec="seconds") <= run.manifest.ended_at


@pytest.mark.quiet
def test_two_workers_meet_the_pool_with_the_arrivals_of_one_process(tmp_path: Path) -> None:
    runs = [document(tmp_path, *SMALL, "--no-control", *more) for more in ([], ["--workers", "2"])]
    alone, shared = [load(run["folder"]) for run in runs]
    columns = ["number", "request", "arrival_s"]
    of_alone, of_shared = (run.requests.sort_values("number")[columns].round(6) for run in (alone, shared))
    assert of_alone.to_numpy().tolist() == of_shared.to_numpy().tolist()
    assert [run["trials"][0]["outcomes"] for run in runs] == [{"ok": 40}, {"ok": 40}]
    assert runs[1]["trials"][0]["kept_schedule"]
    assert (alone.manifest.workers, shared.manifest.workers) == (None, 2)


def test_fewer_trials_run_beside_each_other_when_each_has_workers() -> None:
    trials = PlannedRun(scenario=load_scenario("cold_burst"), overrides=Overrides(requests=20, repeat=3)).trials
    stack = EmbeddedStack()
    alone, shared, many = (stack.parallelism(trials, RunOptions(workers=workers)) for workers in (None, 2, 500))
    assert 1 <= shared.trials <= max(1, alone.trials // 2)
    assert "each trial has 3 Locust processes" in shared.why
    assert many.trials == 1
    assert stack.parallelism(trials, RunOptions(workers=2, parallel=4)).trials == 4


def test_a_connection_timeout_below_the_wake_loses_whoever_was_connecting(tmp_path: Path) -> None:
    (trial,) = document(tmp_path, *SMALL, "--no-control", "--set", "connection_timeout=0.5")["trials"]
    assert trial["outcomes"]["connect_timeout"] >= 3
    assert trial["outcomes"]["pool_timeout"] >= 1
    assert trial["first_failure_s"] == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("while_waking", ["drop", "refuse", "error"])
def test_other_ways_to_meet_a_client_are_played_too(tmp_path: Path, while_waking: str) -> None:
    (trial,) = document(tmp_path, *SMALL, "--no-control", "--while-waking", while_waking)["trials"]
    if while_waking == "drop":
        # The kernel asks again a second later, and once more: nobody is lost, but all are later than the wake.
        assert trial["outcomes"] == {"ok": 40}
        assert trial["latency_s"]["max"] > 1.5
    else:
        assert trial["outcomes"]["connect_error"] > 5


def test_a_pool_whose_connections_froze_pays_with_its_statement_timeout(tmp_path: Path) -> None:
    (trial,) = document(
        tmp_path, *SMALL, "--no-control", "--on-suspend", "freeze", "--set", "statement_timeout=0.5"
    )["trials"]  # fmt: skip
    assert trial["outcomes"]["connection_lost"] >= 1


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def named(pid: int, word: str) -> list[psutil.Process]:
    found = []
    for process in descendants(pid):
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@contextmanager
def under_way(out: Path, *more: str) -> Iterator[tuple["subprocess.Popen[str]", list[psutil.Process]]]:
    """A run in the middle of its burst, and all of its processes."""
    run = subprocess.Popen(
        [*RUN, *LONG, *more, "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while not any("burst_started" in path.read_text() for path in out.glob("*/events.jsonl")):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # Some of the pool's connections hang now.
        while not any('"connecting":3' in path.read_text() for path in out.glob("*/pool.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield run, descendants(run.pid)
    finally:
        run.kill()
        run.wait()
        assert run.stderr is not None
        assert run.stdout is not None
        run.stderr.close()
        run.stdout.close()


def nothing_is_left(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=15)
    assert not alive


@pytest.mark.parametrize(
    "part",
    ["harness.service", "locust", "harness.proxy", "bin/postgres", "postgres.supervisor", "--master ", "--worker"],
)
def test_a_part_that_is_killed_ends_the_run_with_status_3_and_keeps_what_was_measured(
    tmp_path: Path, part: str
) -> None:
    with under_way(tmp_path, *(["--workers", "2"] if part.startswith("--") else [])) as (run, processes):
        named(run.pid, part)[0].send_signal(signal.SIGKILL)
        _, stderr = run.communicate(timeout=30)
        assert run.returncode == 3
        last = stderr.splitlines()[-1]
        assert last.startswith("coldstart: ")
        assert "(log: " in last
        assert "Traceback" not in stderr
        nothing_is_left(processes)
    kept = load(find_run(runs=tmp_path))
    assert kept.manifest.status is RunStatus.FAILED
    assert len(kept.pool) > 0
    assert list(kept.events["event"])[:2] == ["warmed", "suspended"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_keeps_what_was_measured_marked_aborted(tmp_path: Path, how: signal.Signals) -> None:
    with under_way(tmp_path) as (run, processes):
        run.send_signal(how)
        _, stderr = run.communicate(timeout=30)
        assert run.returncode == 130
        assert "Traceback" not in stderr
        nothing_is_left(processes)
    kept = load(find_run(runs=tmp_path))
    assert kept.manifest.status is RunStatus.ABORTED
    assert len(kept.pool) > 0


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_kill_9_of_the_run_leaves_no_process_and_loses_no_row(tmp_path: Path, more: list[str]) -> None:
    with under_way(tmp_path, *more) as (run, processes):
        run.send_signal(signal.SIGKILL)
        run.wait()
        nothing_is_left(processes)
    kept = load(find_run(runs=tmp_path))
    assert kept.manifest.status is RunStatus.KILLED
    assert "burst_started" in set(kept.events["event"])


def test_two_runs_beside_each_other_do_not_meet(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            [*RUN, *SMALL, "--no-control", "--out", str(tmp_path), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    documents = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert documents[0]["run"] != documents[1]["run"]
    assert all(one["trials"][0]["outcomes"] == {"ok": 40} for one in documents)
