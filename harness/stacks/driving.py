"""Starting the two processes every trial in real time has: the service under test, and Locust."""

import sys
from pathlib import Path

from harness.pool import PoolConfiguration
from harness.process import Child
from harness.scenario import Burst, Scenario

LOAD = Path(__file__).parent.parent / "load" / "child.py"


async def start_service(url: str, pool: PoolConfiguration, *, log: Path) -> tuple[Child, int]:
    """The service on a free port of loopback, its pool on the database at `url`; the child and its port."""
    environment = {"DATABASE_URL": url, **pool.to_environment()}
    child = await Child.start("service", [sys.executable, "-m", "harness.service"], log=log, environment=environment)
    return child, (await child.next_record("ready"))["port"]


async def start_load(host: str, scenario: Scenario, *, log: Path) -> Child:
    """Locust, one process, aimed at `host` and waiting for its orders."""
    argv = [
        sys.executable, "-m", "locust", "-f", str(LOAD), "--headless", "--users", "1", "--host", host,
        "--skip-log-setup", "--only-summary",
    ]  # fmt: skip
    environment = {"COLDSTART_CLIENT_TIMEOUT_S": f"{scenario.client_timeout_s:g}"}
    return await Child.start("locust", argv, log=log, environment=environment)


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
