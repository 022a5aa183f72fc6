"""A user's own application, from the shell: in real time on real parts, recorded, and in virtual time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import load
from harness.analysis.load import Run
from harness.model.exit_status import EXIT_UNKNOWN

APPLICATION = """
import os

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["SHOP_DB"], pool_size=20)
app = FastAPI()


class Order(BaseModel):
    item: int
    note: str


@app.get("/items/{key}")
async def read_item(key: int) -> dict[str, str]:
    async with engine.connect() as connection:
        found = await connection.scalar(text("SELECT name FROM items WHERE id = :key"), {"key": key})
    if found is None:
        raise HTTPException(404, "no such item")
    return {"name": found}


@app.post("/orders", status_code=201)
async def add_order(order: Order) -> dict[str, int]:
    if order.note != "grün":
        raise HTTPException(400, order.note)
    async with engine.begin() as connection:
        insert = text("INSERT INTO orders (item, note) VALUES (:item, :note) RETURNING id")
        return {"id": (await connection.execute(insert, order.model_dump())).scalar_one()}

"""
SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO items SELECT id, 'item ' || id FROM generate_series(1, 50) AS id;
CREATE TABLE orders (id serial PRIMARY KEY, item int NOT NULL REFERENCES items, note text NOT NULL);
"""
REQUESTS = """
[[request]]
name = "read_item"
path = "/items/{key}"
keys = [1, 50]
weight = 3

[[request]]
name = "add_order"
method = "POST"
path = "/orders"
keys = [1, 50]
json = {item = "{key}", note = "grün"}
statuses = [201]
"""
OWN = ["--app", "main:app", "--app-dir", ".", "--env", "url=SHOP_DB"]
PLAYED = ["run", "cold_burst", *OWN, "--no-control", "--no-charts", "--json", "--out", "runs"]
SMALL = ["--pool", "2+1", "--wake", "1", "--requests", "20", "--over", "1"]
FAILING = ["--pool", "1+0,connection_timeout=1", "--wake", "1.6", "--requests", "20", "--over", "2"]


def coldstart(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def trial(folder: Path, *arguments: str) -> tuple[dict[str, Any], Run]:
    """The one trial of a run, and the run."""
    done = coldstart(folder, *PLAYED, *arguments)
    assert done.returncode in (0, EXIT_UNKNOWN), done.stderr
    document = json.loads(done.stdout)
    (found,) = document["trials"]
    return found, load(folder / document["folder"])


def refused(folder: Path, status: int, *arguments: str) -> str:
    """The last line of a run that ends with this status."""
    done = coldstart(folder, *arguments)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application's folder, with its recording in it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "main.py").write_text(APPLICATION)
    (folder / "schema.sql").write_text(SCHEMA)
    (folder / "requests.toml").write_text(REQUESTS)
    done = coldstart(folder, "record", *OWN, "--init", "schema.sql", "--times", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("recording.jsonl: ")
    return folder


@contextmanager
def changed(folder: Path, **files: str) -> Iterator[None]:
    """Files with other contents, by their names with _ for the dot."""
    kept = {}
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        kept[path] = path.read_text()
        path.write_text(text)
    try:
        yield
    finally:
        for path, text in kept.items():
            path.write_text(text)


@pytest.mark.quiet
def test_in_real_time_every_request_is_answered_once_the_database_is_awake(shop: Path) -> None:
    found, run = trial(shop, "--stack", "embedded", "--init", "schema.sql", *SMALL)
    assert found["outcomes"] == {"ok": 20}
    assert found["latency_s"]["max"] == pytest.approx(1.0, abs=0.5)
    # The settings have reached its engine, whatever its code says.
    assert found["peak_checked_out"] == 3
    assert found["connects"] >= 3
    rows = run.requests
    assert set(rows["request"]) == {"read_item", "add_order"}
    assert set(rows[rows["request"] == "add_order"]["status"]) == {201}
    assert rows["checkout_s"].max() > 0.3
    assert (rows["query_s"] > 0).all()


@pytest.mark.quiet
def test_both_clocks_show_the_same_outcomes_and_virtual_time_the_same_rows_twice(shop: Path) -> None:
    real, _ = trial(shop, "--stack", "embedded", "--init", "schema.sql", *FAILING)
    first, one = trial(shop, "--stack", "simulated", *FAILING)
    second, other = trial(shop, "--stack", "simulated", *FAILING)
    assert first["outcomes"] == second["outcomes"]
    assert one.requests.to_csv() == other.requests.to_csv()
    assert one.pool.to_csv() == other.pool.to_csv()
    assert first["outcomes"]["connect_timeout"] >= 1
    assert first["outcomes"]["pool_timeout"] >= 1
    # A request that arrives at the moment of a timeout may end on either side of it.
    for outcome in {*real["outcomes"], *first["outcomes"]}:
        assert abs(real["outcomes"].get(outcome, 0) - first["outcomes"].get(outcome, 0)) <= 2, (real, first)


UNKNOWN_ITEM = '[[request]]\nname = "read_item"\npath = "/items/51"\n'
STARTUP_FAILS = APPLICATION.replace(
    "app = FastAPI()",
    """
@asynccontextmanager
async def lifespan(app):
    raise RuntimeError("no such bucket")
    yield

app = FastAPI(lifespan=lifespan)
""",
).replace("import os\n", "import os\nfrom contextlib import asynccontextmanager\n")


def test_a_request_that_fails_while_the_database_is_awake_is_bad_input(shop: Path) -> None:
    with changed(shop, requests_toml=UNKNOWN_ITEM):
        line = refused(shop, 2, *PLAYED, "--stack", "embedded", "--init", "schema.sql", *SMALL)
        assert 'request read_item (GET /items/51): was answered with 404: {"detail":"no such item"} while' in line
        assert "(allowed: a status of 200 to 399, or statuses = [404] in the requests file)" in line
    with changed(shop, requests_toml=UNKNOWN_ITEM.replace("51", "{key}") + "keys = [49, 51]\n"):
        line = refused(shop, 2, "record", *OWN, "--init", "schema.sql", "--times", "3", "--out", "never.jsonl")
        assert "request read_item (GET /items/51): was answered with 404 for key 2" in line
        assert not (shop / "never.jsonl").exists()


def test_a_startup_that_fails_is_a_part_that_died_and_its_log_has_the_reason(shop: Path) -> None:
    with changed(shop, main_py=STARTUP_FAILS):
        line = refused(shop, 3, *PLAYED, "--stack", "embedded", "--init", "schema.sql", *SMALL)
        assert "its startup failed; its own words are above in this log (log: " in line
        log = Path(line.rpartition("(log: ")[2].removesuffix(")"))
        assert "RuntimeError: no such bucket" in (shop / log).read_text()
        line = refused(shop, 2, *PLAYED, "--stack", "simulated", *SMALL)
        assert "application main:app: its startup failed: RuntimeError: no such bucket" in line


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--app", "nothing:app"], 3, "application: ended with status 1: nothing:app: no module 'nothing'"),
        (["--env", "url=SHOP_DB,pool_size=SHOP_POOL"], 2, "its pool has pool_size 20 and not 2: the setting did not"),
        (["--init", "wrong.sql"], 2, 'wrong.sql, line 2: 42601: syntax error at or near "CREAT"'),
        (["--prepare", "no-such-command"], 2, "--prepare 'no-such-command': can't be started: No such file or direc"),
        (["--prepare", "sh -c 'echo no migrations; exit 7'"], 2, "ended with status 7: no migrations (log: "),
    ],
    ids=["no module", "a variable that it ignores", "sql", "no command", "a command that fails"],
)
def test_what_is_found_wrong_as_it_starts_is_one_line(shop: Path, arguments: list[str], status: int, says: str) -> None:
    (shop / "wrong.sql").write_text("SELECT 1;\nCREAT TABLE items ();\n")
    init = [] if "--init" in arguments else ["--init", "schema.sql"]
    assert says in refused(shop, status, *PLAYED, "--stack", "embedded", *SMALL, *init, *arguments)


def test_in_virtual_time_it_is_one_instance_that_is_started_and_was_recorded(shop: Path) -> None:
    two = [*PLAYED, "--stack", "simulated", *SMALL]
    two[1] = "too_many_connections"
    assert "instances are" in refused(shop, 2, *two, "--pool", "2+1")
    elsewhere = [*PLAYED, "--stack", "simulated", *SMALL, "--recording", "nothing.jsonl"]
    assert "nothing.jsonl is not a file" in refused(shop, 2, *elsewhere)
    (shop / "recording.jsonl").rename(shop / "kept.jsonl")
    try:
        line = refused(shop, 2, *PLAYED, "--stack", "simulated", *SMALL)
    finally:
        (shop / "kept.jsonl").rename(shop / "recording.jsonl")
    assert "needs a recording of it (allowed: --recording, made by coldstart record)" in line
