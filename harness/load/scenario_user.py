"""A scenario under Locust's own command line and web page: `locust -f scenarios/locustfile.py --scenario NAME`.

Without `--host` a whole embedded stack is brought up for it, and every start of a test is one cold start: the pool
is warmed, the compute suspended, and the burst begins. With `--host` the burst goes to that service as it is.

With `--master` the burst is shared among the workers that are connected; the options are the master's alone.
"""

import logging
import subprocess
import sys
import time
from typing import Any, TypeVar

import gevent
from locust import LoadTestShape, events
from locust.runners import WORKER_REPORT_INTERVAL, MasterRunner, WorkerRunner

from harness.library import scenario_names, story_in_real_time
from harness.load.distribution import Conductor, connected
from harness.load.user import OpenLoopUser
from harness.model.burst_share import BurstShare, lead_s
from harness.processes.messages import BeginStory, BurstPlanned, Record, StackFailed, StackReady, record_from, to_line

NETWORK_LEAD_S = 0.4
"""Beyond what drawing the schedule needs: a message to another host may take a while."""
POLL_S = 0.05

R = TypeVar("R", bound=Record)

logger = logging.getLogger(__name__)


class ScenarioUser(OpenLoopUser):
    """Drives its worker's share of the scenario's first burst."""


class OneUserAWorker(LoadTestShape):
    """What Locust is to start: one user in every worker, until the burst has ended."""

    def tick(self) -> tuple[int, float] | None:
        if _burst is not None and _burst.ready():
            return None
        assert self.runner is not None
        workers = len(connected(self.runner))
        return workers, max(1, workers)


class _Target:
    """The stack that serves the scenario, as a child process."""

    def __init__(self, arguments: list[str]) -> None:
        argv = [sys.executable, "-m", "harness.stacks.serving", *arguments]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.url = self._next(StackReady).url

    def begin(self) -> float:
        """Warm, suspend; the moment at which the burst starts, on the monotonic clock."""
        assert self._process.stdin is not None
        self._process.stdin.write(to_line(BeginStory()))
        self._process.stdin.flush()
        return self._next(BurstPlanned).at_s

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _next(self, kind: type[R]) -> R:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        record = record_from(line) if line else StackFailed(error="the stack ended")
        if isinstance(record, kind):
            return record
        sys.exit(f"coldstart: {record.error if isinstance(record, StackFailed) else 'the stack is out of step'}")


_target: _Target | None = None
_conductor: Conductor | None = None
_burst: gevent.Greenlet | None = None
"""The burst of the test under way; one test at a time, as Locust has it."""


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:  # noqa: ANN401 - Locust's own
    group = parser.add_argument_group("coldstart")
    group.add_argument("--scenario", default="cold_burst", help=f"{', '.join(scenario_names())}, or a path")
    group.add_argument("--pool", default="", help="10+5; left out, the scenario's first")
    group.add_argument("--wake", default="", help="the wake latency in seconds; left out, the scenario's first")
    group.add_argument("--seed", type=int, default=1, help="what the arrivals are drawn from")


@events.init.add_listener
def _take_part(environment: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _target, _conductor  # noqa: PLW0603 - one stack a process, from Locust's init to its quitting
    options, runner = environment.parsed_options, environment.runner
    if not isinstance(runner, MasterRunner):
        OpenLoopUser.inbox.listen(runner)
    if isinstance(runner, WorkerRunner):
        return
    # Locust passes the master's own options to its workers as a test starts: a scenario's file is needed here only.
    options.client_timeout_s = story_in_real_time(options.scenario).client_timeout_s
    _conductor = Conductor(runner)
    if environment.host:
        return
    _target = _Target([options.scenario, options.pool, options.wake, str(options.seed)])
    environment.host = _target.url


@events.test_start.add_listener
def _start(environment: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _burst  # noqa: PLW0603 - one test at a time
    ScenarioUser.network_timeout = ScenarioUser.connection_timeout = environment.parsed_options.client_timeout_s
    OpenLoopUser.inbox.clear()
    if _conductor is not None:
        # Whoever waited did so for the test before.
        _conductor.forget(_conductor.waiting)
        _burst = gevent.spawn(_play, environment, _conductor)


@events.test_stop.add_listener
def _stop(**_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _burst  # noqa: PLW0603 - one test at a time
    if _burst is not None:
        _burst.kill()
        _burst = None


def _play(environment: Any, conductor: Conductor) -> None:  # noqa: ANN401 - Locust's own
    """One burst, from when every worker waits for it until it is whole in Locust's statistics."""
    options, runner = environment.parsed_options, environment.runner
    burst = story_in_real_time(options.scenario).bursts[0]
    expected = options.expect_workers if isinstance(runner, MasterRunner) else 1
    while len(alive := connected(runner)) < expected or not alive <= conductor.waiting:
        gevent.sleep(POLL_S)
    conductor.forget(conductor.waiting - alive)
    start_s = _target.begin() if _target is not None else time.monotonic() + NETWORK_LEAD_S + lead_s(burst)
    conductor.begin(
        BurstShare(burst=burst, seed=options.seed, retry=story_in_real_time(options.scenario).retry),
        delay_s=start_s - time.monotonic(),
    )
    while conductor.driving:
        if lost := conductor.driving - connected(runner):
            logger.error("coldstart: %s went away with its share of the burst", ", ".join(sorted(lost)))
            environment.process_exit_code = 3
            return
        gevent.sleep(POLL_S)
    # Workers report now and then.
    with gevent.Timeout(2 * WORKER_REPORT_INTERVAL, exception=False):
        while environment.stats.total.num_requests < burst.requests:
            gevent.sleep(POLL_S)


@events.quit.add_listener
def _take_down(**_: Any) -> None:  # noqa: ANN401 - Locust's own
    if _target is not None:
        _target.stop()
