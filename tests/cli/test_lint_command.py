"""`coldstart lint` as its user meets it: the verdict, what to paste, the exit status, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.model.exit_status import EXIT_MISSED

LINT = ["lint", "--wake", "neon"]


def coldstart(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True, text=True, check=False, timeout=60, cwd=cwd, env={**plain, **environment},
    )  # fmt: skip


@pytest.fixture
def env_file(tmp_path: Path) -> str:
    path = tmp_path / ".env"
    path.write_text(
        "DATABASE_URL=postgresql+psycopg://me:s3cret@db.example/app\n"
        "DATABASE_POOL_SIZE=10\nDATABASE_CONNECTION_TIMEOUT=10.0\nDATABASE_STATEMENT_TIMEOUT=10.0\n"
    )
    return str(path)


def test_the_night_of_2025_12_02_is_found_in_its_env_file(env_file: str) -> None:
    done = coldstart("lint", "--env-file", env_file, "--wake", "neon:8", COLUMNS="80")
    assert done.returncode == EXIT_MISSED == 4
    assert done.stderr == ""
    first, *lines = done.stdout.splitlines()
    assert first.startswith("2 findings; ")
    assert any("psycopg" in line and "asyncpg only" in " ".join(lines) for line in lines)
    assert "DATABASE_URL=postgresql+asyncpg://…" in done.stdout
    assert "s3cret" not in done.stdout
    assert "db.example" not in done.stdout
    assert all(len(line) <= 80 for line in lines)


def test_without_a_finding_the_status_is_0() -> None:
    done = coldstart(*LINT, "--pool", "10+5")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "nothing to mend: 5 rules hold")


def test_the_shells_own_variables_are_linted_where_no_file_is_named() -> None:
    done = coldstart(*LINT, "--json", DATABASE_POOL_SIZE="3", DATABASE_POOL_PRE_PING="false")
    document = json.loads(done.stdout)
    assert (done.returncode, document["source"]) == (4, "the environment")
    assert [finding["mend"] for finding in document["findings"]] == [["DATABASE_POOL_PRE_PING=true"]]


def test_an_applications_own_names_are_in_its_mends(tmp_path: Path) -> None:
    (tmp_path / "prod.env").write_text("DB=postgresql+asyncpg://me:s3cret@db/app\nPOOL=5\nPOOL_WAIT_MS=10000\n")
    done = coldstart(
        "lint", "--wake", "neon:12", "--env-file", "prod.env",
        "--env", "url=DB,pool_size=POOL,pool_timeout=POOL_WAIT_MS:ms",
        "--set", "connection_timeout=15", "--set", "pool_pre_ping=true", "--json", cwd=tmp_path,
    )  # fmt: skip
    (finding,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, finding["mend"]) == (4, ["POOL_WAIT_MS=15000"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lint", "--pool", "10+5"], "Missing option '--wake'"),
        ([*LINT], "the environment: has no setting of a pool (allowed: DATABASE_URL, DATABASE_POOL_SIZE, "),
        ([*LINT, "--pool", "5"], "'5' is not a pool (allowed: pool_size+max_overflow"),
        ([*LINT, "--pool", "env"], "--pool: 'env' is this shell's variables (allowed: lint without --pool)"),
        ([*LINT, "--pool", "5+0,driver=psycopg,connection_timeout=1.5"], "must be whole seconds with driver=psycopg"),
        ([*LINT, "--pool", "5+0", "--env", "url"], "--env is for variables, and --pool is a pool (allowed: one of"),
        ([*LINT, "--pool", "5+0", "--env-file", ".env"], "--env-file is for variables, and --pool is a pool"),
        ([*LINT, "--env-file", "no/such/.env"], "no/such/.env: can't be read: No such file or directory"),
        ([*LINT, "--env", "neither"], "--env: no ready mapping 'neither' (allowed: NAME=VARIABLE, or url"),
        ([*LINT, "--pool", "5+0", "--set", "colour=red"], "no setting 'colour' (allowed: pool_size"),
        (["lint", "--pool", "5+0", "--wake", "neo"], "'neo' is not a wake (allowed: seconds, "),
        ([*LINT, "--pool", "5+0", "--client-timeout", "0"], "--client-timeout must be positive, got 0"),
        ([*LINT, "--pool", "5+0", "--idle-timeout", "-1"], "--idle-timeout must be positive, got -1"),
        ([*LINT, "--pool", "5+0", "--instances", "0"], "--instances must be at least 1, got 0"),
        ([*LINT, "--pool", "5+0", "--max-connections", "3"], "--max-connections must be at least 4, got 3"),
        ([*LINT, "--pool", "5+0", "--addresses", "0"], "addresses must be at least 1, got 0"),
        ([*LINT, "--pool", "5+0", "--pooler", "statement"], "'statement' is not one of"),
        (["lint", "--pool", "5+0", "--wake", "always-on", "--pooler", "session"], "nothing of this can be played"),
        (
            [*LINT, "--pool", "900+0", "--instances", "20", "--max-connections", "100"],
            "connections of all pools must be at most 10000, got 18000",
        ),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_what_can_not_be_linted_is_named_in_one_line(arguments: list[str], says: str) -> None:
    done = coldstart(*arguments)
    assert says in done.stderr
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
