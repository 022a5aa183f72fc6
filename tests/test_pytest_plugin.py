"""The pytest plugin, as somebody's own tests use it: in a folder of their own, in a process of its own."""

import subprocess
import sys
from pathlib import Path

SHOP = Path(__file__).parent.parent / "examples" / "shop"

SURVIVES = f"""
from harness.scenario import answered_within, none

def test_nobody_is_turned_away(coldstart_app):
    played = coldstart_app("main:app", app_dir={str(SHOP)!r}, pool="10+5", wake=8, requests=60, over=6)
    assert played.expect(none("failure"), answered_within(9)) is played
    (trial,) = played.trials
    assert trial.requests == 60
    assert trial.trial.label == "10+5, wake 8 s"
"""
FAILS = f"""
from harness.scenario import none

def test_nobody_is_turned_away(coldstart_app):
    coldstart_app(
        "main:app", app_dir={str(SHOP)!r}, pool=["5+0", "10+5"], set="connection_timeout=3", wake=8
    ).expect(none("failure"))
"""
MARKED = f"""
import json

from harness.scenario import none

def test_it_is_as_recorded(coldstart_app, tmp_path):
    header, *lines = open({str(SHOP / "recording.jsonl")!r}).read().splitlines()
    kept = [line for line in lines if "ORDER BY orders.id" not in line]
    header = json.loads(header)
    header["statements"] -= len(lines) - len(kept)
    shorter = tmp_path / "shorter.jsonl"
    shorter.write_text("\\n".join([json.dumps(header), *kept]) + "\\n")
    coldstart_app("main:app", app_dir={str(SHOP)!r}, pool="10+5", wake=1, recording=shorter).expect(none("failure"))
"""
SLEEPS = """
import asyncio
import time

import asyncpg
import pytest

async def ask(url):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT name FROM items")
    finally:
        await connection.close()

@pytest.mark.coldstart(wake=0.4, init="schema.sql")
def test_the_first_request_waits(coldstart_postgres):
    assert coldstart_postgres.state == "active"
    coldstart_postgres.suspend()
    assert coldstart_postgres.state == "suspended"
    asked_at = time.monotonic()
    assert asyncio.run(ask(coldstart_postgres.url)) == "tea"
    assert time.monotonic() - asked_at >= 0.4
    (wake,) = coldstart_postgres.wakes
    assert wake.latency_s == pytest.approx(0.4)
    coldstart_postgres.suspend()
    coldstart_postgres.wake()
    assert coldstart_postgres.state == "active"
    assert coldstart_postgres.suspends == len(coldstart_postgres.wakes) == 2

def test_without_a_mark_it_is_neons(coldstart_postgres):
    assert coldstart_postgres.url.startswith("postgresql://")
    assert coldstart_postgres.wakes == ()
"""


def run(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (folder / "test_it.py").write_text(test)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_it.py"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=100)


def test_an_application_that_survives(tmp_path: Path) -> None:
    done = run(tmp_path, SURVIVES)
    assert done.returncode == 0, done.stdout


def test_a_test_that_fails_says_what_happened_and_how_to_play_it_again(tmp_path: Path) -> None:
    done = run(tmp_path, FAILS)
    assert done.returncode == 1
    happened = "ok 152, pool_timeout 38, connect_timeout 10"
    assert f"5+0 connection_timeout=3, wake 8 s: expected no failed request, but {happened}" in done.stdout
    command = next(line for line in done.stdout.splitlines() if "To play it again: " in line)
    words = command.partition("To play it again: coldstart ")[2].split()
    again = subprocess.run(
        [sys.executable, "-m", "harness", *words, "--no-charts", "--out", str(tmp_path / "again")],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "5+0 connection_timeout=3, wake 8 s: ok 152  pool_timeout 38  connect_timeout 10" in again.stderr


def test_a_trial_that_is_not_to_be_relied_on_fails_its_test(tmp_path: Path) -> None:
    done = run(tmp_path, MARKED)
    assert done.returncode == 1
    assert "a statement was never recorded: SELECT orders" in done.stdout


def test_a_database_that_sleeps(tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text("CREATE TABLE items (name text); INSERT INTO items VALUES ('tea');\n")
    done = run(tmp_path, SLEEPS)
    assert done.returncode == 0, done.stdout


def test_nothing_of_ours_is_imported_for_a_test_that_does_not_ask(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "import sys\n\ndef test_it():\n"
        "    assert not {'pandas', 'sqlalchemy', 'asyncpg', 'matplotlib', 'click'} & set(sys.modules)\n",
    )
    assert done.returncode == 0, done.stdout
