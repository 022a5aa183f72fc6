"""What a user gets wrong: one line that says what, where and what is allowed, on standard error, and status 2."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

RUN = ["run", "cold_burst", "--stack", "embedded"]
FROM_LOG = ["scenario", "from-log"]
LOG = str(Path(__file__).with_suffix(".jsonl"))


def coldstart(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True, text=True, check=False, timeout=60, cwd=cwd, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*RUN, "--pool", "5"], "'5' is not a pool (allowed: pool_size+max_overflow"),
        ([*RUN, "--pool", "0+0"], "'0+0' has pool_size 0 (allowed: pool_size+max_overflow"),
        ([*RUN, "--pool", "x+y"], "'x+y' is not a pool (allowed: pool_size+max_overflow"),
        ([*RUN, "--pool", "5+0,colour=red"], "no setting 'colour' (allowed: pool_size"),
        (["run", "nothing"], "no scenario 'nothing' (allowed: background_jobs"),
        (["run", "./nothing.py"], "no such file"),
        ([*RUN, "--wake", "neo"], "'neo' is not a wake (allowed: seconds, "),
        ([*RUN, "--wake", "neo:8"], "no wake profile 'neo'"),
        ([*RUN, "--wake", "-8"], "wake latency must be 0 or positive, got -8"),
        ([*RUN, "--set", "colour=red"], "no setting 'colour' (allowed: pool_size"),
        ([*RUN, "--set", "pool_timeout"], "'pool_timeout' is not a setting (allowed: NAME=VALUE)"),
        ([*RUN, "--set", "pool_timeout=0"], "pool_timeout must be positive, got 0"),
        ([*RUN, "--set", "pool_timeout=soon"], "pool_timeout='soon' is not a number of seconds"),
        ([*RUN, "--over", "-1"], "over must be positive, got -1"),
        ([*RUN, "--requests", "0"], "requests must be at least 1, got 0"),
        ([*RUN, "--warm", "-1"], "connections must be 0 or more, got -1"),
        ([*RUN, "--pool", "5+0", "--warm", "6"], "--warm 6 is more than the pool 5+0 can hold"),
        ([*RUN, "--service-time", "0.1"], "--service-time belongs to the simulated stack"),
        ([*RUN, "--workers", "0"], "Invalid value for '--workers': 0 is not in the range 1<=x<=256"),
        ([*RUN, "--workers", "-2"], "Invalid value for '--workers': -2 is not in the range 1<=x<=256"),
        ([*RUN, "--workers", "two"], "'two' is not a valid integer range"),
        ([*RUN, "--stack", "simulated", "--workers", "2"], "--workers belongs to the stacks in real time"),
        ([*RUN, "--stack", "moon"], "Invalid value for '--stack': 'moon' is not one of"),
        ([*RUN, "--on-suspend", "explode"], "'explode' is not one of"),
        ([*RUN, "--requests", "many"], "'many' is not a valid integer"),
        ([*RUN, "--colour"], "No such option"),
        (["list", "colours"], "'colours' is not one of"),
        (["explode"], "No such command 'explode'"),
        (
            ["worst", "cold_burst", "--allow", "explode"],
            "'explode' can't be allowed (allowed: suspend, deploy, outage:SEC",
        ),
        (["worst", "cold_burst", "--wake-up-to", "-1"], "the longest wake must be 0 or positive, got -1"),
        (["worst", "cold_burst", "--out", "mine.txt"], "mine.txt: is no Python file (allowed: a path that ends in .py"),
        (["worst", "cold_burst", "--trials", "0"], "0 is not in the range 1<=x<=10000"),
        (["diff", "no/such/run"], "no/such/run: no such folder (allowed: a run's folder"),
        (["diff"], "Missing argument 'RUNS...'"),
        (["diff", "a", "b", "c"], "3 runs are too many (allowed: two, or one with --pool twice)"),
        (["new", "two words"], "NAME: 'two words' is not a name (allowed: 1 to 64 letters, digits, _ and -)"),
        (["new", "first", "--out", "no/such/folder"], "can't be written: No such file or directory"),
        (["new"], "Missing argument 'NAME'"),
        (["scenario", "explode"], "No such command 'explode'"),
        ([*FROM_LOG, "nothing.csv"], "nothing.csv: can't be read: No such file or directory"),
        ([*FROM_LOG, "nothing.xls"], "nothing.xls: is no log by its ending '.xls' (allowed: .csv with a header; "),
        (
            [*FROM_LOG, "nothing.csv", "--out", "mine.txt"],
            "mine.txt: is no Python file (allowed: a path that ends in .py",
        ),
        ([*FROM_LOG, "nothing.csv", "--pool", "5"], "'5' is not a pool (allowed: pool_size+max_overflow"),
        (
            [*FROM_LOG, "nothing.csv", "--pool", "env"],
            "--pool: 'env' is not a pool in a file (allowed: pool_size+max_ov",
        ),
        ([*FROM_LOG, LOG, "--time-column", "at"], "test_bad_input.jsonl, line 1: has no key 'at'"),
        ([*FROM_LOG, LOG, "--request-column", "what"], "test_bad_input.jsonl, line 1: has no key 'what'"),
        ([*FROM_LOG, LOG, "--speed", "0"], "replay: speed must be positive, got 0"),
        ([*FROM_LOG, LOG, "--speed", "fast"], "'fast' is not a valid float"),
        ([*FROM_LOG, LOG, "--rate", "-1"], "replay: rate must be positive, got -1"),
        ([*FROM_LOG, LOG, "--rate", "100001"], "these are 100001 requests (allowed: up to 100000"),
        ([*FROM_LOG, LOG, "--out", "no/such/folder/x.py"], "can't be written: No such file or directory"),
    ],
    ids=lambda value: " ".join(value[4:] or value) if isinstance(value, list) else "",
)
def test_it_is_named_in_one_line(arguments: list[str], says: str) -> None:
    done = coldstart(*arguments)
    assert says in done.stderr
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_scenario_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("from harness.scenario import Burst\n\nBurst(requests=0, over_s=1)\n")
    done = coldstart("run", str(mine))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "requests must be at least 1, got 0" in done.stderr
    mine.write_text("import nothing_of_this_name\n")
    done = coldstart("run", str(mine))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "mine.py, line 1: ModuleNotFoundError" in done.stderr


def test_results_that_cant_be_written_are_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    done = coldstart(*RUN, "--out", str(tmp_path / "results" / "runs"))
    assert done.returncode == 2
    assert "can't be written: Not a directory" in done.stderr.splitlines()[-1]


def test_a_port_in_use_is_a_stack_that_did_not_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = coldstart("toxiproxy", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "can't listen on 127.0.0.1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_postgres_that_does_not_start_ends_with_status_3_and_its_log(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("postgres", "initdb"):
        (programs / name).write_text("#!/bin/sh\necho 'disk is full' >&2\nexit 3\n")
        (programs / name).chmod(0o755)
    done = coldstart(*RUN, "--out", str(tmp_path / "runs"), COLDSTART_POSTGRES_BIN=str(programs))
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert "disk is full" in last
    assert "(log: " in last


@pytest.mark.parametrize(
    "command",
    [[], ["run"], ["list"], ["lint"], ["toxiproxy"], ["doctor"], ["new"], ["scenario"], ["worst"], ["diff"], FROM_LOG],
)
def test_help_is_there_and_quick_about_it(command: list[str]) -> None:
    done = coldstart(*command, "--help")
    assert done.returncode == 0
    assert "Usage: coldstart" in done.stdout


def test_list_shows_scenarios_settings_and_profiles() -> None:
    done = coldstart("list", COLUMNS="100")
    assert done.returncode == 0
    for word in ("cold_burst", "pool_timeout", "neon", "aurora"):
        assert word in done.stdout


def test_doctor_says_what_this_machine_can_run() -> None:
    done = coldstart("doctor", COLUMNS="120")
    assert done.returncode == 0
    assert "stack embedded: yes" in done.stdout


def test_a_pool_from_the_environment_is_the_services_own_settings(tmp_path: Path) -> None:
    done = coldstart(
        "run", "cold_burst", "--stack", "simulated", "--wake", "1", "--no-control", "--json", "--out", str(tmp_path),
        "--pool", "env", "--pool", "env,max_overflow=0", DATABASE_POOL_SIZE="3", DATABASE_CONNECTION_TIMEOUT="4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (trial["pool"] for trial in json.loads(done.stdout)["trials"])
    assert (first["pool_size"], first["max_overflow"], first["connection_timeout"], first["pool_timeout"]) == (
        3,
        5,
        4,
        4,
    )
    assert (second["pool_size"], second["max_overflow"]) == (3, 0)


def test_the_environment_is_checked_as_everything_else() -> None:
    done = coldstart(*RUN, "--pool", "env", DATABASE_POOL_SIZE="many")
    assert done.returncode == 2
    assert "pool_size='many' is not a whole number" in done.stderr
