"""A user's own application in place of the service under test: its database made, and the application started."""

import asyncio
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.guest import enter
from harness.guest.orders import Orders, Play
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.driver import Driver
from harness.model.errors import StackError, UserError
from harness.model.paths import is_file, is_folder
from harness.model.pool import PoolConfiguration
from harness.model.times import Times
from harness.model.trial import Trial
from harness.postgres import PostgresServer
from harness.postgres.administering import administering
from harness.postgres.script import check_script, run_script
from harness.processes.message import Command
from harness.processes.messages import PlayApplication
from harness.processes.open_files import allow_open_files
from harness.processes.process import Child
from harness.simulation.simulators import Program
from harness.simulation.virtual_driver import DATABASE, HOST, PASSWORD, PORT, USER

if TYPE_CHECKING:
    import httpx

SCHEMES = {Driver.ASYNCPG: "postgresql+asyncpg", Driver.PSYCOPG: "postgresql+psycopg"}
TEMPLATE = "application"
"""The database that is made once, and of which each trial has a copy."""
PREPARE_LIMIT_S = 600.0
TRY_LIMIT_S = 60.0
DIAL_LIMIT_S = 10.0
PORTS = {"http": 80, "https": 443}
TRIED_KEY = 0
SHOWN = 120
"""Characters of an answer that was not a good one."""


def interpreter(python: str | None) -> str:
    """The Python that `--python` names; None: coldstart's own. Raises `UserError` for one that is none."""
    if python is None:
        return sys.executable
    path = Path(python).expanduser()
    program = path / "bin" / "python" if is_folder(path) else path
    found = shutil.which(str(program))
    if found is None:
        raise UserError(f"{python} is no Python", where="--python", allowed="an interpreter, or a virtual environment")
    # Not resolved: a virtual environment is known by the place of its link.
    return str(Path.cwd() / found)


def check_application(application: Application) -> None:
    """Raises `UserError` for what can be seen to be wrong before anything starts."""
    if application.app is not None:
        interpreter(application.python)
        folder = Path(application.folder)
        if not is_folder(folder):
            raise UserError(f"{application.folder} is not a folder", where="--app-dir")
    if application.init is not None:
        check_script(Path(application.init))
    if application.recording is not None and not is_file(Path(application.recording)):
        raise UserError(f"{application.recording} is not a file", where="--recording")
    for request in application.kinds:
        request.check_variables()


def check_it_listens(target: str) -> None:
    """Raises `UserError` when nobody accepts a connection at the URL of an application that is running."""
    parts = urlsplit(target)
    address = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        socket.create_connection(address, timeout=DIAL_LIMIT_S).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"nobody answers at {target}: {reason}", where="--target", allowed="an application that runs"
        ) from error


def check_in_real_time(application: Application, *, stack: str) -> None:
    """Raises `UserError` for an application that can't be started, and for what virtual time alone has."""
    check_application(application)
    for option, given in (("--stub", application.stubs), ("--cpu", application.cpu)):
        if given:
            raise UserError(
                f"{option} belongs to the simulated stack: here it is the world's own", where=f"stack {stack}"
            )


def check_in_virtual_time(application: Application, trials: Sequence[Trial]) -> None:
    """Raises `UserError` for an application, or a story, that virtual time can't play."""
    check_application(application)
    where = f"application {application.name} on stack simulated"
    if application.app is None:
        raise UserError("a running application is in real time", where=where, allowed="--app")
    if application.recording is None:
        raise UserError("needs a recording of it", where=where, allowed="--recording, made by coldstart record")
    if len(drivers := sorted({trial.pool.runs_on.value for trial in trials})) > 1:
        raise UserError(f"{' and '.join(drivers)} are two imports of it", where=where, allowed="a run for each driver")
    for trial in trials:
        if trial.story.instances > 1:
            raise UserError(
                f"{trial.story.instances} instances are {trial.story.instances} processes, and here is one",
                where=where,
                allowed="a scenario with one instance",
            )


def environment_of(application: Application, server: PostgresServer, pool: PoolConfiguration) -> dict[str, str]:
    """The variables that carry the database's address and the pool's settings to the application."""
    address: dict[str, object] = {
        "url": server.dsn_at(server.host, server.port, driver=SCHEMES[pool.runs_on]),
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "database": server.database,
    }
    values = {**pool.to_json(), **address}
    return {variable.name: variable.of(values[variable.carries]) for variable in application.variables}


def orders_of(
    application: Application, pool: PoolConfiguration, address: tuple[str, int], *, in_virtual_time: bool = False
) -> Orders:
    """What the guest in the application's process is told."""
    assert application.app is not None
    set_elsewhere = tuple(variable.carries for variable in application.variables)
    return Orders.of(
        app=application.app,
        pool=pool,
        set_elsewhere=set_elsewhere,
        address=address,
        in_virtual_time=in_virtual_time,
    )


def start_application(
    application: Application, server: PostgresServer, pool: PoolConfiguration, *, log: Path
) -> AbstractAsyncContextManager[Child]:
    """The application on a free port of loopback, its pool on `server`. It writes `ServiceReady`."""
    environment = {
        **environment_of(application, server, pool),
        **orders_of(application, pool, (server.host, server.port)).to_environment(),
    }
    allow_open_files()
    argv = [interpreter(application.python), str(Path(enter.__file__)), "serve"]
    return Child.running("application", argv, log=log, environment=environment, folder=Path(application.folder))


def simulator(application: Application, folder: Path) -> Program:
    """What plays trials of this application in virtual time, in its own environment; paths are from `folder` on."""
    server = PostgresServer(host=HOST, port=PORT, user=USER, database=DATABASE, version="", password=PASSWORD)
    assert application.recording is not None
    recorded = replace(application, recording=str(Path(application.recording).absolute()))

    def command(trial: Trial, times: Times, *, sampled: bool) -> Command:
        environment = {
            **environment_of(application, server, trial.pool),
            **orders_of(application, trial.pool, (HOST, PORT), in_virtual_time=True).to_environment(),
        }
        play = Play(trial=trial, times=times, sampled=sampled, application=recorded, environment=environment)
        return PlayApplication(play=play.to_text())

    return Program(
        argv=(interpreter(application.python), str(Path(enter.__file__)), "simulate"),
        folder=folder / application.folder,
        # The order of an application's sets is the same in every process.
        environment={"PYTHONHASHSEED": "0"},
        command=command,
    )


async def make_database(server: PostgresServer, name: str, template: str | None = None) -> None:
    """A database of this name on the server, empty or a copy of another one. Raises `StackError`."""
    async with administering(server.dsn) as connection:
        await connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))


async def prepare_database(application: Application, server: PostgresServer, log: Path) -> None:
    """Make its tables in this database, as `--init` and `--prepare` say. Raises `UserError` for what fails."""
    if application.init is not None:
        await run_script(server, Path(application.init))
    if application.prepare is not None:
        await _run_command(application, environment_of(application, server, PoolConfiguration()), log)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""


async def _run_command(application: Application, variables: Mapping[str, str], log: Path) -> None:
    assert application.prepare is not None
    # Its environment's own programs come first: alembic, say.
    programs = str(Path(interpreter(application.python)).parent)
    environment = {**os.environ, **variables, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    with log.open("ab") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *shlex.split(application.prepare),
                cwd=application.folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"can't be started: {error.strerror}", where=f"--prepare {application.prepare!r}") from None
        try:
            status = await asyncio.wait_for(process.wait(), PREPARE_LIMIT_S)
        except TimeoutError:
            raise UserError(
                f"had not ended after {PREPARE_LIMIT_S:g} s", where=f"--prepare {application.prepare!r}"
            ) from None
        finally:
            if process.returncode is None:
                # With whatever it has started: it has a session of its own.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    if status != 0:
        raise UserError(
            f"ended with status {status}{_last_words(log)} (log: {log})", where=f"--prepare {application.prepare!r}"
        )


async def try_requests(application: Application, url: str, log: Path) -> None:
    """Ask for each kind of request once, while the database is awake. Raises `UserError` where one fails.

    So the application has answered before a trial begins, and a request that can't succeed is not taken for a finding.
    """
    # In real time only: the base install has no HTTP client.
    import httpx

    # trust_env: a proxy configured for the outside world has no business on loopback.
    async with httpx.AsyncClient(base_url=url, timeout=TRY_LIMIT_S, trust_env=False) as client:
        for request in application.kinds:
            try:
                answer = await ask(client, request, TRIED_KEY)
            except httpx.HTTPError as error:
                raise StackError(
                    "application", f"{described(request, TRIED_KEY)}: {type(error).__name__}", log=log
                ) from error
            if not request.is_good(answer.status_code):
                raise not_good(request, TRIED_KEY, answer, f" (log: {log})")


async def ask(client: "httpx.AsyncClient", request: ApplicationRequest, key: int) -> "httpx.Response":
    """Ask for one request. Raises what httpx raises."""
    asked = request.asked(key)
    return await client.request(asked.method, asked.target, headers=dict(asked.headers), content=asked.body)


def described(request: ApplicationRequest, key: int) -> str:
    """A request in an error's words."""
    asked = request.asked(key)
    return f"request {request.name} ({asked.method} {asked.target})"


def not_good(request: ApplicationRequest, key: int, answer: "httpx.Response", more: str = "") -> UserError:
    """The error that says that this request was not answered well while the database was awake."""
    failed = answer.headers.get("coldstart-outcome", "")
    why = f" ({failed})" if failed else _shown(answer.text)
    return UserError(
        f"was answered with {answer.status_code}{why} while the database was awake{more}",
        where=described(request, key),
        allowed=f"a status of 200 to 399, or statuses = [{answer.status_code}] in the requests file",
    )


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f": {line if len(line) <= SHOWN else line[:SHOWN] + '…'}" if line else ""
