"""Starting the two processes every trial in real time has: the service under test, and Locust."""

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from harness.pool import PoolConfiguration
from harness.process import Child
from harness.scenario import Burst, Scenario

LOAD = Path(__file__).parent.parent / "load" / "child.py"


def running_service(dsn: str, pool: PoolConfiguration, *, log: Path) -> AbstractAsyncContextManager[Child]:
    """The service on a free port of loopback, its pool on the database at `dsn`. It says `ready` with its port."""
    environment = {"DATABASE_URL": dsn, **pool.to_environment()}
    return Child.running("service", [sys.executable, "-m", "harness.service"], log=log, environment=environment)


def running_load(url: str, scenario: Scenario, *, log: Path) -> AbstractAsyncContextManager[Child]:
    """Locust, one process, aimed at `url` and waiting for its orders. It says `ready`."""
    argv = [
        sys.executable, "-m", "locust", "-f", str(LOAD), "--headless", "--users", "1", "--host", url,
        "--skip-log-setup", "--only-summary",
    ]  # fmt: skip
    environment = {"COLDSTART_CLIENT_TIMEOUT_S": f"{scenario.client_timeout_s:g}"}
    return Child.running("locust", argv, log=log, environment=environment)


def order(burst: Burst, *, at_s: float, seed: int) -> dict[str, object]:
    """The command that makes Locust drive a burst."""
    return {
        "command": "start",
        "at_s": at_s,
        "requests": burst.requests,
        "over_s": burst.over_s,
        "arrivals": str(burst.arrivals),
        "mix": [[name.value, weight] for name, weight in burst.mix.weights],
        "hold_s": burst.mix.hold_s,
        "seed": seed,
    }
