"""`coldstart run --stack simulated` from the shell: the same document, the same files, twice the same rows."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.agreement import compare, of_the_pools

RUN = [sys.executable, "-m", "harness", "run", "cold_burst", "--stack", "simulated"]
ASKED = [
    "--pool",
    "5+0",
    "--wake",
    "8",
    "--set",
    "pool_timeout=5",
    "--set",
    "connection_timeout=5",
    "--requests",
    "200",
]


def document(out: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([*RUN, *arguments, "--out", str(out), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.quiet
def test_a_trial_is_answered_quickly(tmp_path: Path) -> None:
    # Far above the second or two that it takes.
    began_s = time.perf_counter()
    (trial,) = document(tmp_path, *ASKED, "--over", "5", "--seed", "1")["trials"]
    assert time.perf_counter() - began_s < 10
    assert trial["outcomes"]["connect_timeout"] == 5
    assert sum(trial["outcomes"].values()) == 200
    assert trial["woke_after_s"] == pytest.approx(8.0, abs=0.3)
    assert trial["wall_s"] < 5


def test_two_runs_have_the_same_requests_byte_for_byte(tmp_path: Path) -> None:
    folders = [Path(document(tmp_path, *ASKED, "--over", "5")["folder"]) for _ in range(2)]
    for name in ("requests.parquet", "pool.parquet", "events.parquet"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1


def test_many_trials_run_in_processes_of_their_own_with_the_same_result(tmp_path: Path) -> None:
    one_by_one = document(tmp_path / "a", "--requests", "50", "--over", "5", "--repeat", "2", "--parallel", "1")
    beside = document(tmp_path / "b", "--requests", "50", "--over", "5", "--repeat", "2", "--parallel", "2")
    for document_ in (one_by_one, beside):
        for trial in document_["trials"] + document_["controls"]:
            del trial["wall_s"]
    assert one_by_one["trials"] == beside["trials"]
    assert one_by_one["controls"] == beside["controls"]


def test_the_scenarios_own_story_comes_true_in_virtual_time(tmp_path: Path) -> None:
    expectations = document(tmp_path)["expectations"]
    assert len(expectations) == 6
    assert {one["verdict"] for one in expectations} == {"reproduced"}


def test_times_that_were_measured_are_used(tmp_path: Path) -> None:
    calibration = tmp_path / "calibration.json"
    samples = {"round_trip_s": [0.01], "service_s": [0.02], "connect_s": [0.1], "source": "a test"}
    calibration.write_text(json.dumps(samples))
    asked = [*ASKED, "--over", "100", "--calibration", str(calibration)]
    (control,) = document(tmp_path, *asked)["controls"]
    # Pinging takes three round trips, BEGIN one, the statement two and its time, ROLLBACK one.
    assert control["latency_s"]["p50"] == pytest.approx(0.02 + 7 * 0.01, abs=0.021)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--service-time", "-1"], "--service-time must be 0 or positive, got -1"),
        (["--calibration", "nowhere.json"], "nowhere.json: can't be read: No such file or directory"),
        (["--pool", "5+0", "--warm", "6"], "--warm 6 is more than the pool 5+0 can hold"),
    ],
)
def test_what_it_cant_do_is_refused_in_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = subprocess.run([*RUN, *arguments, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.quiet
def test_it_agrees_with_the_embedded_stack(tmp_path: Path) -> None:
    # A short matrix; `make agreement` runs the whole one. Tests run beside this one, so its bounds are wider.
    scenario = of_the_pools(("2+0", "3+2"), (1.5, 3.0), ("close", "terminate"))
    cells = compare(scenario, "simulated", over_s=6.0, seed=2, parallel=2, out=tmp_path)
    assert len(cells) == 8
    for cell in cells:
        assert cell.requests_apart <= 4, cell.row()
        assert cell.p95_apart_s < 0.5, cell.row()
