"""A scenario under Locust's own command line and web page: `locust -f scenarios/locustfile.py --scenario NAME`.

Without `--host` a whole embedded stack is brought up for it, and every start of a test is one cold start: the pool
is warmed, the compute suspended, and the burst begins. With `--host` the burst goes to that service as it is.
"""

import json
import subprocess
import sys
import time
from typing import Any

from locust import events
from locust.runners import MasterRunner

from harness.arrivals import Arrival
from harness.library import load_scenario, scenario_names
from harness.load.user import OpenLoopUser

LEAD_S = 0.5


class ScenarioUser(OpenLoopUser):
    """Drives the first burst of the scenario once, then ends the test."""

    def next_burst(self) -> tuple[float, tuple[Arrival, ...], float]:
        options = self.environment.parsed_options
        burst = load_scenario(options.scenario).bursts[0]
        start_s = _target.begin() if _target is not None else time.monotonic() + LEAD_S
        return start_s, burst.schedule(options.seed), burst.mix.hold_s

    def burst_ended(self) -> None:
        runner = self.environment.runner
        # From the web page a test can be started again; on the command line the burst was all there was to do.
        runner.stop() if self.environment.web_ui else runner.quit()


class _Target:
    """The stack that serves the scenario, as a child process."""

    def __init__(self, arguments: list[str]) -> None:
        argv = [sys.executable, "-m", "harness.stacks.serving", *arguments]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.url: str = self._next("ready")["url"]

    def begin(self) -> float:
        """Warm, suspend; the moment at which the burst starts, on the monotonic clock."""
        assert self._process.stdin is not None
        self._process.stdin.write('{"command": "begin"}\n')
        self._process.stdin.flush()
        at_s: float = self._next("begin")["at_s"]
        return at_s

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _next(self, name: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        record: dict[str, Any] = json.loads(line) if line else {"record": "nothing"}
        if record["record"] != name:
            sys.exit(f"coldstart: {record.get('error', 'the stack ended')}")
        return record


_target: _Target | None = None


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:  # noqa: ANN401 - Locust's own
    group = parser.add_argument_group("coldstart")
    group.add_argument("--scenario", default="cold_burst", help=f"{', '.join(scenario_names())}, or a path")
    group.add_argument("--pool", default="", help="10+5; left out, the scenario's first")
    group.add_argument("--wake", default="", help="the wake latency in seconds; left out, the scenario's first")
    group.add_argument("--seed", type=int, default=1, help="what the arrivals are drawn from")


@events.init.add_listener
def _bring_up(environment: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _target  # noqa: PLW0603 - one stack a process, from Locust's init to its quitting
    options = environment.parsed_options
    ScenarioUser.network_timeout = ScenarioUser.connection_timeout = load_scenario(options.scenario).client_timeout_s
    if environment.host or isinstance(environment.runner, MasterRunner):
        return
    _target = _Target([options.scenario, options.pool, options.wake, str(options.seed)])
    environment.host = _target.url


@events.quit.add_listener
def _take_down(**_: Any) -> None:  # noqa: ANN401 - Locust's own
    if _target is not None:
        _target.stop()
