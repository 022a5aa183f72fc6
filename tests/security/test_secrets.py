"""Real secrets, planted, and searched for in everything that is written and in every process's command line."""

import contextlib
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.postgres import PostgresServer
from tests.stacks.test_application_run import APPLICATION, REQUESTS, SCHEMA

MANY_LOOKS = 100
TOKEN = "planted-token-5f1c9e"
DATABASE = "planted-database-8a2b7d"
CREDENTIAL = re.compile(r"postgresql(?:\+\w+)?://[^:/@\s]+:([^@\s]{16,})@")
"""A password in a URL of a database, as an application is given it."""
HEADER = 'headers = {Authorization = "Bearer ${SHOP_TOKEN}"}\n'


@dataclass
class Watch:
    """What processes were called with meanwhile, and the passwords that harness made for them."""

    lines: set[str] = field(default_factory=set)
    passwords: set[str] = field(default_factory=set)


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    """Look at every process's command line, and at what those with `folder` in their environment were given."""
    watch, over = Watch(), threading.Event()

    looks: Counter[str] = Counter()

    def look() -> None:
        while not over.is_set():
            for place in Path("/proc").glob("[0-9]*"):
                looks[place.name] += 1
                # A program is another one from its exec on; after some looks it stays what it is.
                if looks[place.name] > MANY_LOOKS:
                    continue
                with contextlib.suppress(OSError):
                    watch.lines.add((place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                    # This account's own only: of another's nobody may read it, which is why a password may be there.
                    given = (place / "environ").read_bytes().decode(errors="replace")
                    if str(folder) in given:
                        watch.passwords.update(CREDENTIAL.findall(given))
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def coldstart(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=110, env={**os.environ, **environment},
    )  # fmt: skip


def written(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        yield from ((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "main.py").write_text(APPLICATION)
    (folder / "schema.sql").write_text(SCHEMA)
    requests = REQUESTS.replace('path = "/items/{key}"\n', f'path = "/items/{{key}}"\n{HEADER}')
    (folder / "requests.toml").write_text(requests)
    (folder / ".env").write_text(f"DATABASE_URL=postgresql+asyncpg://shop:{DATABASE}@db.internal:5432/shop\n"
                                 f"DATABASE_POOL_SIZE=5\nDATABASE_MAX_OVERFLOW=0\nSECRET_KEY={TOKEN}\n")  # fmt: skip
    return folder


OWN = ["--app", "main:app", "--app-dir", ".", "--env", "url=SHOP_DB"]
SIMULATED = ["--stack", "simulated", "--recording", "recording.jsonl"]
SMALL = ["--pool", "2+1", "--wake", "1", "--requests", "20", "--over", "1", "--out", "runs"]


@pytest.mark.timeout(300)
def test_no_secret_of_an_application_or_of_its_database_is_written_or_in_a_process_list(
    shop: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    given = {"SHOP_TOKEN": TOKEN, "PLANTED_DB": DATABASE, "TMPDIR": str(temporary)}
    with watching(temporary) as watch:
        done = [
            coldstart(shop, "record", *OWN, "--init", "schema.sql", "--times", "3", **given),
            coldstart(shop, "run", "cold_burst", *OWN, "--init", "schema.sql", *SMALL, "--stack", "embedded", **given),
            coldstart(shop, "run", "cold_burst", *OWN, *SMALL, *SIMULATED, **given),
            coldstart(shop, "report", "runs/" + newest(shop), **given),
            coldstart(shop, "postmortem", "runs/" + newest(shop), **given),
            coldstart(shop, "lint", "--env-file", ".env", "--wake", "8", "--json", **given),
            # An application that can't start: its last words are shown.
            coldstart(shop, "run", "cold_burst", "--app", "nothing:app", *SIMULATED, *SMALL, **given),
        ]
    assert [one.returncode for one in done[:5]] == [0, 0, 0, 0, 0], [one.stderr for one in done]
    assert (done[5].returncode in (0, 4), done[6].returncode in (2, 3)) == (True, True), [
        one.stderr for one in done[5:]
    ]
    assert watch.passwords, "no child was seen with the database's password: then nothing was searched for"
    for secret in (TOKEN, DATABASE, *watch.passwords):
        assert not [line for line in watch.lines if secret in line]
        assert not [one.args for one in done if secret in one.stdout + one.stderr]
        assert not [
            path for path, content in written(shop, temporary) if path != shop / ".env" and secret.encode() in content
        ]
    for path, _ in written(shop / "runs"):
        if path.parent.name == "logs":
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((shop / "recording.jsonl").stat().st_mode) == 0o600
    assert list(temporary.iterdir()) == []


def newest(shop: Path) -> str:
    return max(path.name for path in (shop / "runs").iterdir())


def test_a_database_of_ones_own_is_named_by_the_environment_and_its_password_is_in_no_process_list(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    runtime, said = tmp_path / "runtime", tmp_path / "said"
    runtime.mkdir(mode=0o700)
    environment = {**os.environ, "COLDSTART_UPSTREAM": postgres.dsn, "XDG_RUNTIME_DIR": str(runtime)}
    with said.open("wb") as out, watching(runtime) as watch:
        up = subprocess.Popen(
            [sys.executable, "-m", "harness", "up", "--wake", "1", "--port", "0"],
            env=environment,
            stdout=out,
            stderr=out,
        )
        deadline_s = time.monotonic() + 30
        while "Ctrl-C stops it" not in said.read_text():
            assert up.poll() is None, said.read_text()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        held = [(path, content) for path, content in written(runtime) if postgres.password.encode() in content]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in runtime.iterdir()}
        up.terminate()
        up.wait(timeout=20)
    assert not [line for line in watch.lines if postgres.password in line]
    assert held == []
    assert modes == {0o700}
    # The URL to paste has it, once: that is what the command is for.
    assert postgres.password in said.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["run", "cold_burst", "--target", f"http://me:{TOKEN}@127.0.0.1:1/"],
        ["requests", "from-openapi", f"http://me:{TOKEN}@127.0.0.1:1/openapi.json?key={DATABASE}"],
        ["up", "--upstream", f"postgresql://me:{TOKEN}@127.0.0.1:1/{'x' * 9}?sslmode={DATABASE}"],
        ["up", "--upstream", f"postgresql://me:{TOKEN}@127.0.0.1,127.0.0.2/db"],
        ["up", "--upstream", f"nonsense {TOKEN}"],
        ["lint", "--env-file", "broken.env", "--wake", "8"],
        ["lint", "--env-file", "other.env", "--wake", "8"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_no_message_about_bad_input_repeats_a_secret(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "broken.env").write_text(f"DATABASE_URL=postgresql://a:{TOKEN}@h/d\nSECRET {TOKEN} no line\n")
    (tmp_path / "other.env").write_text(f"DATABASE_URL={TOKEN}://{DATABASE}\nDATABASE_POOL_SIZE=5\n")
    done = coldstart(tmp_path, *words)
    assert done.returncode in (2, 3)
    assert TOKEN not in done.stderr + done.stdout
    assert DATABASE not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1
