"""The one line of an application that runs by itself: its answers tell what their database did, its pool is its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.guest import path
from harness.postgres import PostgresServer
from tests.stacks.running import ended, free_port, until

FOLDER = str(Path(path.__file__).parent)
APPLICATION = """
import os
{first}
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

URL = os.environ["DATABASE_URL"]
engine = create_async_engine(URL, pool_size=1, max_overflow=0, pool_timeout=0.2)
queueless = create_async_engine(URL, poolclass=NullPool)
other = create_engine("sqlite://")

async def item(request):
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    async with queueless.connect() as connection:
        await connection.execute(text("SELECT 1"))
    with other.connect() as connection:
        connection.execute(text("SELECT 1"))
    return PlainTextResponse("ok")

async def full(request):
    async with engine.connect():
        async with engine.connect():
            return PlainTextResponse("never")

async def settings(request):
    pool = engine.pool
    return JSONResponse([pool.size(), pool._max_overflow, pool._timeout, pool._recycle, pool._pre_ping])

app = Starlette(routes=[Route("/item", item), Route("/full", full), Route("/page", settings)])
{last}
"""
IMPORTED_LAST = {"first": "", "last": "from coldstart_guest import observed\napp = observed(app)"}
IMPORTED_FIRST = {"first": "from coldstart_guest import observed", "last": "app = observed(app)"}
AS_MIDDLEWARE = {"first": "from coldstart_guest import observed", "last": "app.add_middleware(observed)"}
TWICE = {"first": "", "last": "from coldstart_guest import observed\napp = observed(app)\nobserved(app)"}


def environment(folder: str = FOLDER, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": folder, **more}


@pytest.fixture(params=[IMPORTED_LAST, IMPORTED_FIRST, AS_MIDDLEWARE, TWICE], ids=["last", "first", "middleware", "2"])
def served(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> Iterator[str]:
    """The application by its own uvicorn, with the line in each place where it can stand; its URL."""
    (tmp_path / "main.py").write_text(APPLICATION.format(**request.param))
    port, log = free_port(), tmp_path / "log"
    url = postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "critical"],
            cwd=tmp_path, env=environment(DATABASE_URL=url), stdout=file, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    with ended(process):
        until(lambda: _answers(f"http://127.0.0.1:{port}/page"), process, log)
        yield f"http://127.0.0.1:{port}"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def test_answers_tell_what_their_database_did_and_the_pools_settings_are_the_applications_own(served: str) -> None:
    with httpx.Client(base_url=served, trust_env=False) as client:
        answer = client.get("/item")
        assert answer.text == "ok"
        assert answer.headers["server-timing"].startswith("checkout;dur=")
        assert "connect;dur=0.000" not in answer.headers["server-timing"]
        assert "coldstart-outcome" not in answer.headers
        failed = client.get("/full")
        assert (failed.status_code, failed.headers["coldstart-outcome"]) == (500, "pool_timeout TimeoutError")
        checkout, *_ = failed.headers["server-timing"].split(", ")
        assert float(checkout.removeprefix("checkout;dur=")) >= 190
        # SQLAlchemy's own defaults where it names none: no setting of coldstart's is among them.
        assert client.get("/page").json() == [1, 0, 0.2, -1, False]


def test_the_folder_has_that_module_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "guest-path"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{FOLDER}\n", "")
    modules = {found.stem for found in Path(FOLDER).glob("*.py")}
    assert modules == {"__init__", "coldstart_guest"}


def test_an_application_with_a_module_of_our_name_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "harness.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import coldstart_guest"], cwd=tmp_path, env=environment(f"{tmp_path}:{FOLDER}"),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: the application has a module named harness, which is coldstart's own name in its process"
    )
