"""Starting the processes every trial in real time has: the service under test, and Locust, in one process or more."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from harness.converter import to_json
from harness.model.listener import NO_LISTENER
from harness.model.story import SERVICE_PART, Story
from harness.model.trial import Trial
from harness.processes.messages import MasterListening
from harness.processes.open_files import allow_open_files
from harness.processes.process import Child

LOAD = Path(__file__).parent.parent / "load" / "child.py"
LOOPBACK = "127.0.0.1"


def running_service(dsn: str, trial: Trial, *, log: Path) -> AbstractAsyncContextManager[Child]:
    """The service on a free port of loopback, its pool on the database at `dsn`. It writes `ServiceReady`."""
    listener = trial.story.listener
    environment = {
        "DATABASE_URL": dsn,
        **trial.pool.to_environment(),
        SERVICE_PART: json.dumps(to_json(trial.story.service_part)),
        **(NO_LISTENER if listener is None else listener.to_environment()),
    }
    allow_open_files()
    return Child.running("service", [sys.executable, "-m", "harness.service"], log=log, environment=environment)


@asynccontextmanager
async def running_load(host: str, story: Story, *, log: Path, workers: int | None = None) -> AsyncIterator[Child]:
    """Locust, waiting for its orders: one process, or a master with `workers`. It writes `LoadReady`.

    With workers it is the master that is yielded, and that everything is said to. A worker that dies ends the body
    with a `StackError` (in a group) that names it; the log of `…locust.log` is then `…locust.worker-0.log`.
    """
    argv = [
        sys.executable, "-m", "locust", "-f", str(LOAD), "--headless", "--host", host, "--skip-log-setup",
        "--only-summary",
    ]  # fmt: skip
    environment = {"COLDSTART_CLIENT_TIMEOUT_S": f"{story.client_timeout_s:g}"}
    allow_open_files()
    if workers is None:
        async with Child.running("locust", [*argv, "--users", "1"], log=log, environment=environment) as only:
            yield only
        return
    # Port 0: the kernel chooses one that is free, and the master says which. Its workers are started with it.
    as_master = [
        *argv, "--master", "--master-bind-host", LOOPBACK, "--master-bind-port", "0",
        "--expect-workers", str(workers), "--users", str(workers), "--spawn-rate", str(workers),
    ]  # fmt: skip
    async with AsyncExitStack() as stack:
        master = await stack.enter_async_context(
            Child.running("locust master", as_master, log=log, environment=environment)
        )
        port = (await master.next_record(MasterListening)).port
        as_worker = [*argv, "--worker", "--master-host", LOOPBACK, "--master-port", str(port)]
        started = [
            await stack.enter_async_context(
                Child.running(
                    f"locust worker {index}",
                    as_worker,
                    log=log.with_suffix(f".worker-{index}.log"),
                    environment=environment,
                )
            )
            for index in range(workers)
        ]
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(worker.watch()) for worker in started]
            try:
                yield master
            finally:
                for task in watching:
                    task.cancel()
