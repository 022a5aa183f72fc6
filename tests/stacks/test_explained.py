"""A service that can't reach a database whose process has died is not what is named: that process is."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from harness.library import load_scenario
from harness.model.errors import StackError
from harness.model.events import Event
from harness.model.listener import QueueListener
from harness.model.plan import PlannedRun
from harness.model.rows import ListenerEvent
from harness.postgres.administering import worked_on
from harness.processes.message import Record
from harness.processes.messages import ListenerReported, PoolNotWarmed, to_line
from harness.processes.process import Child
from harness.stacks.target import DatabaseControls, Target, TargetDriver
from harness.stacks.vitals import Vitals

pytestmark = pytest.mark.anyio

SAYS = "import sys; print(sys.argv[1], flush=True); sys.stdin.read()"
DIES = "import sys, time; time.sleep(0.2); print('the database system is shut down', file=sys.stderr); sys.exit(1)"
LIVES = "import sys; sys.stdin.read()"


@asynccontextmanager
async def driver(folder: Path, said: Record, database: str) -> AsyncIterator[TargetDriver]:
    """Of one trial, whose service says this, and whose database is this program."""
    (trial, *_) = PlannedRun(scenario=load_scenario("cold_burst")).trials
    trial = replace(trial, story=replace(trial.story, listener=QueueListener()))
    argv = [sys.executable, "-c", SAYS, to_line(said).decode().strip()]

    async def nothing(*_: Any) -> None: ...

    async with (
        Child.running("service", argv, log=folder / "service.log") as service,
        Child.running("postgres", [sys.executable, "-c", database], log=folder / "postgres.log") as postgres,
    ):
        controls = DatabaseControls(
            proxy="trial-1",
            suspend=nothing,
            slow=nothing,
            outage=nothing,
            lose=nothing,
            vitals=Vitals(None),
            answerable=postgres.answerable,
        )
        asked = TargetDriver(trial, Target(("http://127.0.0.1:1",), (service,), controls), None)
        async with asked.attending():
            yield asked


UNWARMED = PoolNotWarmed(error="OperationalError: closed")
UNHEARD = ListenerReported(
    event=ListenerEvent(
        event=Event.LISTENER_CONNECT_FAILED, at_s=1.0, value_s=0.1, detail={"error": "ConnectionRefusedError"}
    )
)


@pytest.mark.parametrize(
    ("said", "ask", "own"),
    [
        (
            UNWARMED,
            lambda asked: asked.warm((0.0,)),
            "could not warm its pool: OperationalError: closed",
        ),
        (UNHEARD, lambda asked: asked.connect_listeners(), "its queue listener could not connect: ConnectionRefused"),
    ],
)
@pytest.mark.parametrize("database", [DIES, LIVES], ids=["dead", "alive"])
async def test_a_service_that_cannot_connect_is_explained_by_the_death_of_the_database(
    tmp_path: Path, said: Record, ask: Callable[[TargetDriver], Any], own: str, database: str
) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with driver(tmp_path, said, database) as asked:
            await ask(asked)
    (error,) = raised.value.exceptions
    assert isinstance(error, StackError)
    if database is DIES:
        assert str(error).startswith("postgres: ended with status 1: the database system is shut down (log: ")
    else:
        assert str(error).startswith(f"service: {own}")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        TimeoutError(),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.InterfaceError("connection is closed"),
        # What a statement meets when the server has said FATAL and the connection's end has not arrived yet.
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
    ],
)
def test_whatever_a_lost_connection_raises_is_an_error_of_the_server(error: Exception) -> None:
    with pytest.raises(StackError, match=r"^postgres: can't be worked on: ") as raised, worked_on():
        raise error
    assert raised.value.part == "postgres"
    assert raised.value.__cause__ is error


def test_a_bug_stays_one() -> None:
    with pytest.raises(KeyError), worked_on():
        raise KeyError("x")
