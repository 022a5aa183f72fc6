"""A scenario under Locust's own command line and web page: `locust -f scenarios/locustfile.py --scenario NAME`.

Without `--host` a whole embedded stack is brought up for it, and every start of a test plays the scenario's timeline:
the pool is warmed, the compute suspended, the bursts driven. With `--host` the bursts go to that service as it is.

With `--master` each burst is shared among the workers that are connected; the options are the master's alone.
"""

import logging
import subprocess
import sys
import time
from typing import Any

import gevent
from locust import LoadTestShape, events
from locust.runners import WORKER_REPORT_INTERVAL, MasterRunner, WorkerRunner

from harness.converter import from_json
from harness.library import scenario_names, story_in_real_time
from harness.load.distribution import Conductor, connected
from harness.load.user import OpenLoopUser
from harness.model.load_share import LoadShare
from harness.processes.message import Command
from harness.processes.messages import (
    AnyRecord,
    BeginStory,
    BurstDriven,
    BurstPlanned,
    StackFailed,
    StackReady,
    record_from,
    to_line,
)

POLL_S = 0.05

logger = logging.getLogger(__name__)


class ScenarioUser(OpenLoopUser):
    """Drives its worker's shares of the scenario's bursts."""


class OneUserAWorker(LoadTestShape):
    """What Locust is to start: one user in every worker, until the story is at its end."""

    def tick(self) -> tuple[int, float] | None:
        if _story is not None and _story.ready():
            return None
        assert self.runner is not None
        workers = len(connected(self.runner))
        return workers, max(1, workers)


class _Player:
    """The child process that plays the story: it has the stack, and says which burst is to be driven when."""

    def __init__(self, arguments: list[str]) -> None:
        argv = [sys.executable, "-m", "harness.load.serving", *arguments]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._ready: StackReady | None = None

    def ready(self) -> StackReady:
        """Waits until it can play; without a host it brings a stack up first."""
        if self._ready is None:
            ready = self.next()
            assert isinstance(ready, StackReady)
            self._ready = ready
        return self._ready

    def send(self, command: Command) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(to_line(command))
        self._process.stdin.flush()

    def next(self) -> AnyRecord:
        """Its next record; the program ends when it failed or is gone."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        record = record_from(line) if line else StackFailed(error="what plays the story ended")
        if isinstance(record, StackFailed):
            sys.exit(f"coldstart: {record.error}")
        return record

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


_player: _Player | None = None
_conductor: Conductor | None = None
_story: gevent.Greenlet | None = None
"""Of the test under way; one test at a time, as Locust has it."""


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:  # noqa: ANN401 - Locust's own
    group = parser.add_argument_group("coldstart")
    group.add_argument("--scenario", default="cold_burst", help=f"{', '.join(scenario_names())}, or a path")
    group.add_argument("--pool", default="", help="10+5; left out, the scenario's first")
    group.add_argument("--wake", default="", help="the wake latency in seconds; left out, the scenario's first")
    group.add_argument("--seed", type=int, default=1, help="what the arrivals are drawn from")


@events.init.add_listener
def _set_up(environment: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _player, _conductor  # noqa: PLW0603 - one player a process, from Locust's init to its quitting
    options, runner = environment.parsed_options, environment.runner
    if not isinstance(runner, MasterRunner):
        OpenLoopUser.inbox.listen(runner)
    if isinstance(runner, WorkerRunner):
        return
    # Locust passes the master's own options to its workers as a test starts: a scenario's file is needed here only.
    options.client_timeout_s = story_in_real_time(options.scenario).client_timeout_s
    _conductor = Conductor(runner)
    host = environment.host or ""
    _player = _Player([options.scenario, options.pool, options.wake, str(options.seed), host])
    # With a host it gets ready beside Locust's web page, which nobody should have to wait for.
    environment.host = host or _player.ready().url


@events.test_start.add_listener
def _start(environment: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _story  # noqa: PLW0603 - one test at a time
    ScenarioUser.network_timeout = ScenarioUser.connection_timeout = environment.parsed_options.client_timeout_s
    OpenLoopUser.inbox.clear()
    if _conductor is not None and _player is not None:
        # A worker that is still waiting does so for the previous test.
        _conductor.forget(_conductor.waiting)
        _story = gevent.spawn(_play, environment, _conductor, _player)


@events.test_stop.add_listener
def _stop(**_: Any) -> None:  # noqa: ANN401 - Locust's own
    global _story  # noqa: PLW0603 - one test at a time
    if _story is not None:
        _story.kill()
        _story = None


def _play(environment: Any, conductor: Conductor, player: _Player) -> None:  # noqa: ANN401 - Locust's own
    """One story, from when every worker waits for it until its last request is in Locust's statistics."""
    options, runner = environment.parsed_options, environment.runner
    expected = options.expect_workers if isinstance(runner, MasterRunner) else 1
    while len(alive := connected(runner)) < expected or not alive <= conductor.waiting:
        gevent.sleep(POLL_S)
    conductor.forget(conductor.waiting - alive)
    player.ready()
    player.send(BeginStory())
    requests = 0
    while isinstance(planned := player.next(), BurstPlanned):
        delay_s = planned.at_s - time.monotonic()
        share = from_json(planned.share, LoadShare, where="share")
        conductor.begin(share, urls=planned.urls, delay_s=delay_s)
        requests += share.load.requests
        while conductor.driving:
            if lost := conductor.driving - connected(runner):
                logger.error("coldstart: %s went away with its share of the burst", ", ".join(sorted(lost)))
                environment.process_exit_code = 3
                return
            gevent.sleep(POLL_S)
        player.send(BurstDriven(at_s=time.monotonic()))
    # Workers send their statistics only every few seconds.
    with gevent.Timeout(2 * WORKER_REPORT_INTERVAL, exception=False):
        while environment.stats.total.num_requests < requests:
            gevent.sleep(POLL_S)


@events.quit.add_listener
def _take_down(**_: Any) -> None:  # noqa: ANN401 - Locust's own
    if _player is not None:
        _player.stop()
