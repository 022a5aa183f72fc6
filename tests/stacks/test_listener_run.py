"""A whole run with a queue listener in its scenario: on the embedded stack, and as Locust's own command line asks."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import load
from harness.library import load_scenario
from harness.model.exit_status import EXIT_UNKNOWN
from harness.processes.messages import BeginStory, BurstPlanned, StackReady
from harness.processes.process import Child

RUN = [sys.executable, "-m", "harness", "run", "--no-charts", "--no-control", "--json"]
SCENARIO = """
from harness.scenario import Burst, Idle, QueueListener, Scenario, Suspend, Warm
from harness.model.wake import profile

SCENARIO = Scenario(
    name="listening",
    wake=profile("neon", latency_s=2.0),
    pools=("2+0",),
    timeline=(Warm(), Idle(0.5), Suspend(), Idle(1), Burst(requests=10, over_s=3, arrivals="even")),
    listener=QueueListener(SETTINGS),
)
"""
QUICK = "heartbeat_every_s=0.2, connect_timeout_s=1, backoff_first_s=0.3"


def written(folder: Path, settings: str) -> str:
    path = folder / "listening.py"
    path.write_text(SCENARIO.replace("SETTINGS", settings))
    return str(path)


def run(scenario: str, out: Path, stack: str) -> "subprocess.CompletedProcess[str]":
    argv = [*RUN, scenario, "--stack", stack, "--out", str(out)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stack", ["embedded", "simulated"])
def test_what_the_listener_met_is_among_the_events(tmp_path: Path, stack: str) -> None:
    scenario = written(tmp_path, QUICK)
    done = run(scenario, tmp_path, stack)
    assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["outcomes"] == {"ok": 10}
    read = load(json.loads(done.stdout)["folder"])
    events = list(read.events["event"])
    assert events[:3] == ["listener_connected", "warmed", "suspended"]
    met = [name.removeprefix("listener_") for name in events if name.startswith("listener_")]
    assert met[1:4] == ["heartbeat_failed", "disconnected", "reconnecting"]
    # An attempt ends after 1 s, and the wake takes 2 s.
    assert met[4:6] == ["connect_failed", "reconnecting"]
    assert met[-1] == "connected"
    found: dict[str, Any] = {row.event: row for row in read.events.itertuples()}
    # It is the listener who starts the wake, before the burst.
    assert found["suspended"].at_s <= found["first_attempt"].at_s < 0 < found["woken"].at_s
    assert json.loads(found["listener_connect_failed"].detail)["error"] == "TimeoutError"
    # The pool has its two connections and not three.
    assert read.pool["size"].max() == 2
    assert read.scenario.listener == load_scenario(scenario).listener


def test_one_that_cannot_connect_at_first_ends_the_run_with_status_3(tmp_path: Path) -> None:
    done = run(written(tmp_path, "connect_timeout_s=0.000001"), tmp_path, "embedded")
    assert done.returncode == 3
    line = done.stderr.splitlines()[-1]
    assert line.startswith("coldstart: service: its queue listener could not connect: TimeoutError after ")
    assert "Traceback" not in done.stderr


@pytest.mark.anyio
async def test_a_service_for_others_to_drive_has_its_listener_too(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "harness.load.serving", written(tmp_path, QUICK)]
    async with Child.running("serving", argv, log=tmp_path / "log") as serving:
        await serving.next_record(StackReady)
        await serving.send(BeginStory())
        await serving.next_record(BurstPlanned)
