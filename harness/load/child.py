"""Locust as a child of the harness: told what to drive on stdin, every request a record on stdout.

Loaded by Locust itself, as a locustfile (`locust -f …/harness/load/child.py --headless`). It understands `StartBurst`,
and writes `LoadReady`, `RequestEnded` and `BurstFinished` (harness/processes/messages.py); the end of stdin ends it.

With Locust's `--master` the parent speaks to this process, which writes `MasterListening` first and passes everything
on to and from its workers by Locust's own messages. A worker (`--worker`) writes nothing on stdout and reads nothing
from stdin but its end.
"""

import functools
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent
from gevent.fileobject import FileObject
from gevent.queue import Queue
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from harness.converter import from_json
from harness.heartbeat import EVERY_S, Heartbeat
from harness.load.distribution import Conductor
from harness.load.records import row
from harness.load.user import OpenLoopUser
from harness.model.load_share import LoadShare
from harness.processes.child import emit, emit_lines
from harness.processes.messages import (
    AnyCommand,
    BurstFinished,
    LoadReady,
    LoopStalled,
    MasterListening,
    RequestEnded,
    StartBurst,
    command_from,
    to_line,
)

CLIENT_TIMEOUT_VARIABLE = "COLDSTART_CLIENT_TIMEOUT_S"
ROWS = "coldstart_rows"
BATCH_S = 0.1
"""A worker sends its rows this often: one message a row would cost more than the request did."""

_commands: "Queue[AnyCommand]" = Queue()


class ScheduledUser(OpenLoopUser):
    """Drives the bursts that the parent orders."""

    network_timeout = float(os.environ.get(CLIENT_TIMEOUT_VARIABLE, "120"))
    connection_timeout = network_timeout
    batches: "Batches | None" = None
    """A worker's rows on their way to the master."""

    def burst_begins(self) -> None:
        self._beats = Beats(emit if self.batches is None else self.batches.add)

    def burst_ended(self) -> None:
        self._beats.end()
        if self.batches is not None:
            self.batches.send()
        super().burst_ended()


class Beats:
    """Watches gevent's loop during a burst: what came while it stood still is recorded late."""

    def __init__(self, deliver: Callable[[LoopStalled], None]) -> None:
        self._deliver = deliver
        self._heart = Heartbeat(time.monotonic())
        self._beating = gevent.spawn(fatal(self._run))

    def end(self) -> None:
        self._beating.kill()
        self._beat()

    def _run(self) -> None:
        while True:
            gevent.sleep(EVERY_S)
            self._beat()

    def _beat(self) -> None:
        if (stall := self._heart.beat(time.monotonic())) is not None:
            self._deliver(LoopStalled(at_s=stall[0], for_s=stall[1]))


class Batches:
    """A worker's records, sent to the master several at a time, as the lines that it will write."""

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._lines: list[bytes] = []

    def add(self, record: RequestEnded | LoopStalled) -> None:
        self._lines.append(to_line(record))

    def send(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._runner.send_message(ROWS, {"lines": b"".join(lines)})

    def run(self) -> None:
        while True:
            gevent.sleep(BATCH_S)
            self.send()


def fatal(listener: Callable[..., None]) -> Callable[..., None]:
    """What Locust would log, and go on without: here the parent must know, so the process ends."""

    @functools.wraps(listener)
    def guarded(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the listener's own
        try:
            listener(*args, **kwargs)
        except Exception:  # noqa: BLE001 - whatever it is, nothing may be lost silently
            traceback.print_exc()
            os._exit(1)

    return guarded


@fatal
def _read_stdin() -> None:
    for line in FileObject(0, "rb", close=False):
        _commands.put(command_from(line))
    # The parent wants this process to stop, or is gone: nobody reads what is still under way.
    os._exit(0)


# Before Locust connects to a master, which it would go on trying for minutes when the parent is gone.
gevent.spawn(_read_stdin)


@events.init.add_listener
@fatal
def _take_part(environment: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        OpenLoopUser.inbox.listen(runner, guard=fatal)
    if isinstance(runner, WorkerRunner):
        ScheduledUser.batches = batches = Batches(runner)
        events.request.add_listener(fatal(functools.partial(_record, batches.add)))
        gevent.spawn(fatal(batches.run))
        return
    events.request.add_listener(fatal(functools.partial(_record, emit)))
    runner.register_message(ROWS, fatal(_pass_on))
    expected = environment.parsed_options.expect_workers if isinstance(runner, MasterRunner) else 1

    def ready_when_all_wait() -> None:
        if len(conductor.waiting) == expected:
            emit(LoadReady())

    conductor = Conductor(
        runner,
        guard=fatal,
        on_waiting=ready_when_all_wait,
        on_finished=lambda at_s: emit(BurstFinished(at_s=at_s)),
    )
    if isinstance(runner, MasterRunner):
        emit(MasterListening(port=runner.server.port))
    gevent.spawn(fatal(_follow_commands), conductor)


@events.user_error.add_listener
def _end(exception: BaseException, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    """A burst that broke off would never finish."""
    traceback.print_exception(exception)
    os._exit(1)


def _follow_commands(conductor: Conductor) -> None:
    for command in _commands:
        assert isinstance(command, StartBurst)
        share = from_json(command.share, LoadShare, where="share")
        conductor.begin(share, urls=command.urls, at_s=command.at_s)


def _pass_on(msg: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
    emit_lines(msg.data["lines"])


def _record(
    deliver: Callable[[RequestEnded], None],
    *,
    name: str,
    response: Any,  # noqa: ANN401 - Locust's own
    context: dict[str, Any],
    **_: Any,  # noqa: ANN401 - Locust's own
) -> None:
    if not context["last"]:
        # It is asked again: the last try makes the row.
        return
    answered = response is not None and bool(response.status_code)
    ended = row(
        number=context["number"],
        request=name,
        arrival_s=context["arrival_s"],
        start_s=context["start_s"],
        end_s=context["end_s"],
        attempts=context["attempts"],
        burst=context["burst"],
        status=response.status_code if answered else 0,
        headers=response.headers if answered else {},
        outcome=context["outcome"],
    )
    deliver(RequestEnded(row=ended))
