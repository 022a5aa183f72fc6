"""`coldstart run --stack compose` on real containers: what it measures, beside the embedded stack, and its faults."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.analysis import load
from harness.compose.engine import engine
from harness.compose.project import OWNER, sweep
from harness.model.exit_status import EXIT_UNKNOWN

RUN = [sys.executable, "-m", "harness", "run", "cold_burst", "--no-charts"]
SMALL = ["--pool", "2+1", "--wake", "1.5", "--requests", "40", "--over", "2", "--no-control"]
LONG = ["--pool", "2+1", "--wake", "60", "--requests", "40", "--over", "4", "--no-control"]

pytestmark = [pytest.mark.quiet, pytest.mark.usefixtures("nothing_left")]


def document(out: Path, *arguments: str, stack: str = "compose") -> dict[str, Any]:
    argv = [*RUN, "--stack", stack, *arguments, "--out", str(out), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def failed(out: Path, *arguments: str, **environment: str) -> str:
    """The last line of a run whose stack could not start or died."""
    argv = [*RUN, "--stack", "compose", *arguments, "--out", str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_the_issues_command_agrees_with_embedded(tmp_path: Path) -> None:
    asked = ["--pool", "5+0", "--pool", "10+5", "--wake", "6", "--requests", "100", "--over", "5"]
    asked += ["--set", "pool_timeout=3"]
    compose, embedded = (document(tmp_path, *asked, stack=stack) for stack in ("compose", "embedded"))
    assert compose["status"] == "complete"
    for ours, theirs in zip(compose["trials"], embedded["trials"], strict=True):
        assert ours["pool"] == theirs["pool"]
        for outcome in set(ours["outcomes"]) | set(theirs["outcomes"]):
            # A share of the requests: one in fifty apart at most.
            assert abs(ours["outcomes"].get(outcome, 0) - theirs["outcomes"].get(outcome, 0)) <= 2
        assert ours["latency_s"]["p95"] == pytest.approx(theirs["latency_s"]["p95"], rel=0.1, abs=0.3)
        assert ours["outcomes"]["pool_timeout"] > 5
    versions = json.loads((Path(compose["folder"]) / "manifest.json").read_text())["versions"]
    assert versions["toxiproxy"] == "2.12.0 (container)"


def test_an_application_of_the_users_own_has_a_database_of_its_own(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent.parent / "examples" / "minimal"
    its = ["--app", "main:app", "--app-dir", str(example), "--init", str(example / "schema.sql")]
    found = document(tmp_path, *its, *SMALL)
    (trial,) = found["trials"]
    assert trial["outcomes"] == {"ok": 40}
    assert trial["wakes"] == 1
    assert trial["peak_checked_out"] == 3
    assert 1.4 < trial["latency_s"]["max"] < 3


@pytest.mark.parametrize("on_suspend", ["close", "terminate", "freeze"])
def test_the_wake_begins_within_50_ms_of_the_first_connection(tmp_path: Path, on_suspend: str) -> None:
    found = document(tmp_path, *SMALL, "--on-suspend", on_suspend, "--set", "statement_timeout=0.5")
    run = load(found["folder"])
    (trial,) = run.trials
    events = run.of(trial, "events").set_index("event")
    pool = run.of(trial, "pool")
    connecting = pool[(pool["connecting"] > 0) & (pool["at_s"] > events.at_s["suspended"])]
    # The service samples its pool a moment after it begins to connect, a busy machine later than that.
    assert abs(events.at_s["first_attempt"] - connecting["at_s"].min()) < 0.05
    assert 0 <= events.value_s["woken"] < 0.05
    assert found["trials"][0]["woke_after_s"] == pytest.approx(events.at_s["first_attempt"] + 1.5, abs=0.05)
    lost = found["trials"][0]["outcomes"].get("connection_lost", 0)
    # Only a connection that froze costs the request that finds it so: its ping waits for an answer.
    assert (lost >= 1) is (on_suspend == "freeze")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (["--on-suspend", "keep"], "on_suspend keep"),
        (["--on-suspend", "reset"], "on_suspend reset"),
        (["--while-waking", "drop"], "while_waking drop"),
        (["--while-waking", "refuse"], "while_waking refuse"),
        (["--while-waking", "error"], "while_waking error"),
    ],
)
def test_what_it_cant_express_is_refused_before_anything_starts(tmp_path: Path, asked: list[str], named: str) -> None:
    argv = [*RUN, "--stack", "compose", *SMALL, *asked, "--out", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"Toxiproxy can't express {named}: the embedded stack can" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scenario", ["lifo_or_fifo", "too_many_connections"])
def test_scenarios_of_the_library_are_reproduced(tmp_path: Path, scenario: str) -> None:
    # One that never sleeps, and one with several instances and a limit on their connections.
    argv = [
        sys.executable,
        "-m",
        "harness",
        "run",
        scenario,
        "--stack",
        "compose",
        "--parallel",
        "1",
        "--no-charts",
        "--json",
    ]
    done = subprocess.run([*argv, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, EXIT_UNKNOWN), done.stderr + done.stdout
    assert {one["verdict"] for one in json.loads(done.stdout)["expectations"]} == {"reproduced"}


def test_an_image_that_cant_be_pulled_is_one_line(tmp_path: Path) -> None:
    said = failed(tmp_path, *SMALL, COLDSTART_POSTGRES_IMAGE="localhost:1/no-such-image:0")
    assert "no-such-image" in said or "connection refused" in said
    assert "compose.log" in said


def test_a_container_that_never_becomes_healthy_is_one_line_and_its_log_is_kept(tmp_path: Path) -> None:
    # Toxiproxy's server is no PostgreSQL: it ends at once.
    said = failed(tmp_path, *SMALL, COLDSTART_POSTGRES_IMAGE="ghcr.io/shopify/toxiproxy:2.12.0")
    assert "postgres" in said
    assert "compose.log" in said
    (log,) = tmp_path.rglob("postgres.log")
    assert log.read_text()


def test_a_container_that_dies_ends_the_run(tmp_path: Path) -> None:
    run = started(tmp_path)
    container("toxiproxy").kill()
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 3
    assert "toxiproxy: its container is exited, with status 137" in errors
    assert "Traceback" not in errors


def test_ctrl_c_during_the_start_takes_everything_down(tmp_path: Path) -> None:
    run = launched(tmp_path)
    until(lambda: len(engine().containers.list(all=True, filters={"label": OWNER}, ignore_removed=True)) > 0)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 130


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 130
    (manifest,) = tmp_path.glob("*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "aborted"


def test_kill_9_of_the_run_takes_the_containers_down(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.kill()
    run.communicate()
    until(lambda: not engine().containers.list(all=True, filters={"label": OWNER}, ignore_removed=True))
    until(lambda: not [network for network in engine().networks.list() if network.name.startswith("coldstart-")])


def test_what_a_kill_9_of_everything_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    run = started(tmp_path)
    for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
        process.kill()
    run.communicate()
    assert engine().containers.list(filters={"label": OWNER}, ignore_removed=True)
    assert len(sweep()) == 1


def launched(out: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*RUN, "--stack", "compose", *LONG, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(out: Path) -> "subprocess.Popen[str]":
    """A run whose burst is under way."""
    run = launched(out)
    until(lambda: any("first_attempt" in path.read_text() for path in out.glob("*/events.jsonl")))
    return run


def container(service: str) -> Any:
    (found,) = [
        one
        for one in engine().containers.list(filters={"label": OWNER}, ignore_removed=True)
        if f"-{service}-" in one.name
    ]
    return found


def until(reached: Any, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)
