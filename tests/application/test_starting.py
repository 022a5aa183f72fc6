"""How an application is started: by which Python, with which variables, on which tables."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from harness.application.starting import environment_of, interpreter, orders_of, prepare_database
from harness.model.application import Application, Variable
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer

pytestmark = pytest.mark.anyio

MIX = RequestMix(((ApplicationRequest(name="r", target="/"), 1.0),))
SERVER = PostgresServer(host="127.0.0.1", port=5433, user="u", database="d", version="", password="secret")


def application(**fields: object) -> Application:
    return Application(app="main:app", mix=MIX, **fields)  # type: ignore[arg-type]


def test_its_python_is_ours_unless_it_names_an_interpreter_or_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interpreter(None) == sys.executable
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    linked = tmp_path / ".venv" / "bin" / "python"
    linked.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    # A virtual environment is known by the place of its link, so the link is not followed.
    for given in (".venv", ".venv/bin/python", str(linked), str(linked.parent.parent)):
        assert interpreter(given) == str(linked)
    monkeypatch.setenv("PATH", str(linked.parent))
    assert interpreter("python") == str(linked)
    for given in ("nowhere", str(tmp_path)):
        with pytest.raises(UserError, match="is no Python"):
            interpreter(given)


def test_its_variables_carry_the_address_and_the_settings() -> None:
    pool = PoolConfiguration(pool_size=7, pool_timeout_s=2.5, pool_pre_ping=False, driver=Driver.PSYCOPG)
    carried = {"url": "DB", "host": "H", "port": "P", "user": "U", "password": "W", "database": "D", "pool_size": "S"}
    variables = (
        *(Variable(carries=carries, name=name) for carries, name in carried.items()),
        Variable(carries="pool_timeout", name="WAIT", unit="ms"),
        Variable(carries="pool_pre_ping", name="PING"),
    )
    assert environment_of(application(variables=variables), SERVER, pool) == {
        "DB": "postgresql+psycopg://u:secret@127.0.0.1:5433/d",
        "H": "127.0.0.1", "P": "5433", "U": "u", "W": "secret", "D": "d", "S": "7", "WAIT": "2500", "PING": "false",
    }  # fmt: skip
    orders = orders_of(application(variables=variables), pool, (SERVER.host, SERVER.port))
    assert {"pool_size", "pool_timeout", "pool_pre_ping"} <= set(orders.set_elsewhere)
    assert orders.pool.resolved == pool.resolved
    told = orders.to_environment()
    assert "secret" not in str(told)
    assert type(orders).from_environment(told) == orders


async def test_its_tables_are_made_in_its_folder_with_its_variables(tmp_path: Path) -> None:
    command = "sh -c 'echo $DATABASE_URL $(pwd) $(command -v python)'"
    log = tmp_path / "log"
    await prepare_database(application(prepare=command, folder=str(tmp_path)), SERVER, log)
    url, folder, python = log.read_text().split()
    assert url == "postgresql+asyncpg://u:secret@127.0.0.1:5433/d"
    assert Path(folder) == tmp_path
    assert Path(python).parent == Path(sys.executable).parent


async def test_what_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    command = "sh -c 'sleep 600 & echo $! > pid; wait'"
    preparing = asyncio.create_task(
        prepare_database(application(prepare=command, folder=str(tmp_path)), SERVER, tmp_path / "log")
    )
    async with asyncio.timeout(30):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            await asyncio.sleep(0.01)
        started = psutil.Process(int((tmp_path / "pid").read_text()))
        preparing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await preparing
        while started.is_running() and started.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)
