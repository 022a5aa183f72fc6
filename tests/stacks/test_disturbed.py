"""A run that something disturbed is no measurement: each disturbance happens for real, to a process of the run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.analysis import load
from harness.analysis.compare import compare
from harness.analysis.findings import findings
from harness.analysis.load import Run
from harness.model.doubt import RELEASED_A_CORE
from harness.model.exit_status import EXIT_UNKNOWN

RUN = [sys.executable, "-m", "harness", "run", "cold_burst", "--stack", "embedded", "--no-charts", "--pool", "5+0"]
WAKE_S = 2.0
STORY = ["--wake", f"{WAKE_S:g}", "--requests", "60", "--over", "6", "--no-control"]
PATIENCE_S = 150.0
"""Everything takes its time on a machine that does other things too."""


@contextmanager
def running(out: Path, *story: str) -> Iterator["subprocess.Popen[str]"]:
    """A run in a process of its own."""
    command = [*RUN, *story, "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def until(true: Callable[[], Any], what: str) -> Any:
    limit_s = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < limit_s, what
        time.sleep(0.02)
    return found


def happened(out: Path, event: str) -> bool:
    """Whether the run has recorded this event."""
    files = list(out.glob("*/events.jsonl"))
    return bool(files) and any(json.loads(line)["event"] == event for line in files[0].read_text().splitlines())


def descendants(pid: int) -> list[tuple[psutil.Process, str]]:
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            found.append((process, " ".join(process.cmdline())))
        except psutil.Error:
            continue
    return found


def part(run: int, name: str) -> psutil.Process:
    """A process of the run, by a part of its command line."""
    found: psutil.Process = until(
        lambda: next((process for process, command in descendants(run) if name in command), None), f"no {name}"
    )
    return found


def stopped(process: psutil.Process, for_s: float) -> None:
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(for_s)
    finally:
        process.send_signal(signal.SIGCONT)


def end_of(process: "subprocess.Popen[str]", out: Path) -> tuple[Run, str]:
    """The run, once it has ended as no measurement, and what it printed."""
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == EXIT_UNKNOWN, printed
    return load(next(iter(out.iterdir()))), printed


SERVICE, PROXY, POSTMASTER, LOCUST = "-m harness.service", "-m harness.proxy", "/postgres -D", "-m locust"


@pytest.mark.parametrize(
    ("name", "after", "for_s", "reason", "words"),
    [
        (SERVICE, "woken", 3.0, "service_stalled", "the service stood still for"),
        (PROXY, "first_attempt", 2.0, "proxy_stalled", "the proxy stood still for"),
        (POSTMASTER, "first_attempt", 4.0, "postgres_stalled", "PostgreSQL stood still for"),
        (LOCUST, "woken", 2.0, "locust_stalled", "the load generator stood still for"),
    ],
)
def test_a_part_that_stood_still_makes_a_trial_no_measurement(
    tmp_path: Path, name: str, after: str, for_s: float, reason: str, words: str
) -> None:
    with running(tmp_path, *STORY) as process:
        until(lambda: happened(tmp_path, after), f"never {after}")
        stopped(part(process.pid, name), for_s)
        run, printed = end_of(process, tmp_path)
    (summary,) = run.summaries
    found = {doubt.reason.value: doubt for doubt in summary.doubts}
    assert reason in found
    assert found[reason].value == pytest.approx(for_s, abs=0.8)
    assert "5+0 (!)" in printed
    (sentence,) = [one for one in findings(run.summaries) if words in one]
    assert "Run fewer trials at a time" in sentence
    assert any(words.removesuffix(" for") in doubt for doubt in compare([run]).doubts)
    assert reason in (run.folder / "summary.csv").read_text()


def test_a_backend_that_is_killed_is_a_crash_of_postgresql_and_no_result(tmp_path: Path) -> None:
    with running(tmp_path, *STORY) as process:
        until(lambda: happened(tmp_path, "woken"), "never woken")
        time.sleep(0.5)
        os.kill(part(process.pid, "postgres: coldstart").pid, signal.SIGKILL)
        run, printed = end_of(process, tmp_path)
    (summary,) = run.summaries
    assert "postgres_restarted" in [doubt.reason.value for doubt in summary.doubts]
    assert "5+0 (!)" in printed
    assert "PostgreSQL crashed or was restarted" in " ".join(printed.split())
    assert "in 1 of 1 trial PostgreSQL crashed or was restarted" in " ".join(printed.split())


def test_a_control_whose_service_stood_still_is_none_and_marks_what_is_compared_with_it(tmp_path: Path) -> None:
    story = ["--wake", "0.5", "--requests", "40", "--over", "3", "--parallel", "1"]
    with running(tmp_path, *story) as process:
        # One trial is played after another, the control last.
        until(lambda: happened(tmp_path, "burst_ended"), "never ended")
        first = part(process.pid, SERVICE)
        until(lambda: not first.is_running(), "the first service did not end")
        service = part(process.pid, SERVICE)
        until(lambda: bursts(tmp_path) == 2, "the control's burst never began")
        stopped(service, 5.0)
        run, printed = end_of(process, tmp_path)
    by_control = {summary.trial.is_control: summary for summary in run.summaries}
    reasons = {control: [doubt.reason.value for doubt in summary.doubts] for control, summary in by_control.items()}
    assert by_control[True].latency_s["p50"] > 1.0
    assert {"service_stalled", "control_not_calm"} <= set(reasons[True])
    assert "control_not_calm" in reasons[False]
    assert "service_stalled" not in reasons[False] or printed.count("(!)") >= 2
    assert "its control was not calm: half of its requests took more than" in " ".join(printed.split())


def bursts(out: Path) -> int:
    (file,) = out.glob("*/events.jsonl")
    return sum(json.loads(line)["event"] == "burst_started" for line in file.read_text().splitlines())


def test_a_wake_that_releases_more_than_the_machine_serves_is_marked_and_said_before(tmp_path: Path) -> None:
    requests = (RELEASED_A_CORE + 20) * (os.cpu_count() or 1)
    with running(
        tmp_path, "--wake", "1", "--requests", f"{requests}", "--arrivals", "at_once", "--no-control"
    ) as process:
        run, printed = end_of(process, tmp_path)
    (summary,) = run.summaries
    found = {doubt.reason.value: doubt for doubt in summary.doubts}
    assert found["released_too_many"].value == requests
    assert found["released_too_many"].bound == RELEASED_A_CORE * (os.cpu_count() or 1)
    said = " ".join(printed.split())
    assert f"a wake releases about {requests} requests a trial; this machine serves" in said
    assert "so that trial is no measurement of its pool" in said
    assert f"more requests were released at once than this machine serves, {requests}, and" in said
