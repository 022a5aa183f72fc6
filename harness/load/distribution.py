"""One burst over however many Locust processes there are, by Locust's own messages between master and workers.

master ──burst: its share──▶ worker      as soon as every worker's user waits for it
master ◀──waiting, finished── worker     its user has started; every request of its share has ended

Locust's local runner delivers the messages it sends to itself, so one process without workers is the same story with
one share. The shares are numbered anew for every burst, by the workers that wait for it: the index that Locust itself
gives a worker is never given again, so after a reconnect the indices would have holes, and the burst with them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gevent.queue import Queue
from locust.runners import MasterRunner, Runner

from harness.converter import from_json, to_json
from harness.model.load_share import LoadShare
from harness.processes.share import StartShare, share_from, to_share

BURST, WAITING, FINISHED = "coldstart_burst", "coldstart_waiting", "coldstart_finished"
LOCAL = "local"
"""What Locust's local runner calls itself in its messages."""

Listener = Callable[..., None]


def unguarded(listener: Listener) -> Listener:
    """What a listener raises is logged by Locust, which goes on."""
    return listener


@dataclass(frozen=True, slots=True)
class StartedShare:
    """What a worker is to drive, and where."""

    share: LoadShare
    urls: tuple[str, ...]
    start_s: float
    """When its burst starts, on this host's monotonic clock."""


class Inbox:
    """A worker's side: the shares it was told to drive."""

    def __init__(self) -> None:
        self._shares: Queue[StartedShare] = Queue()

    def listen(self, runner: Runner, *, guard: Callable[[Listener], Listener] = unguarded) -> None:
        runner.register_message(BURST, guard(self._take))

    def next_share(self) -> StartedShare:
        """Waits until there is a share to drive."""
        share: StartedShare = self._shares.get()
        return share

    def clear(self) -> None:
        """Forget what nobody has begun to drive."""
        while not self._shares.empty():
            self._shares.get()

    def _take(self, msg: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
        # Hosts share no monotonic clock: to them the moment is a delay. On one host it is the same clock everywhere.
        start = share_from(msg.data["share"])
        start_s = time.monotonic() + start.delay_s if start.at_s is None else start.at_s
        self._shares.put(StartedShare(from_json(start.share, LoadShare, where="share"), start.urls, start_s))


class Conductor:
    """The master's side: it knows who waits, tells each worker its share, and knows when all have finished."""

    def __init__(
        self,
        runner: Runner,
        *,
        guard: Callable[[Listener], Listener] = unguarded,
        on_waiting: Callable[[], None] = lambda: None,
        on_finished: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`on_finished` is told the moment, on the last worker's clock, at which its last request had ended."""
        self._runner = runner
        self._waiting: set[str] = set()
        self._driving: set[str] = set()
        self._ended_at_s = float("-inf")
        self._on_waiting = on_waiting
        self._on_finished = on_finished
        runner.register_message(WAITING, guard(self._waits))
        runner.register_message(FINISHED, guard(self._finished))

    @property
    def waiting(self) -> frozenset[str]:
        """The workers whose user waits for a burst, or is driving one."""
        return frozenset(self._waiting)

    @property
    def driving(self) -> frozenset[str]:
        """The workers that have not finished their share."""
        return frozenset(self._driving)

    def begin(
        self, whole: LoadShare, *, urls: tuple[str, ...] = (), at_s: float | None = None, delay_s: float = 0.0
    ) -> None:
        """Share the burst among the workers that wait, to start `at_s` of the clock they all share, or in `delay_s`."""
        workers = sorted(self._waiting, key=self._number)
        self._driving = set(workers)
        self._ended_at_s = float("-inf")
        for worker, share in zip(workers, whole.split(len(workers)), strict=True):
            message = to_share(StartShare(share=to_json(share), urls=urls, at_s=at_s, delay_s=delay_s))
            self._runner.send_message(BURST, {"share": message}, worker)

    def forget(self, workers: frozenset[str]) -> None:
        """These workers wait for nothing any more: they are gone, or their users were stopped."""
        self._waiting -= workers
        self._driving -= workers

    def _number(self, worker: str) -> int:
        return int(self._runner.get_worker_index(worker)) if isinstance(self._runner, MasterRunner) else 0

    def _waits(self, msg: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
        self._waiting.add(msg.node_id)
        self._on_waiting()

    def _finished(self, msg: Any, **_: Any) -> None:  # noqa: ANN401 - Locust's own
        if msg.node_id not in self._driving:
            return
        self._driving.remove(msg.node_id)
        self._ended_at_s = max(self._ended_at_s, msg.data["at_s"])
        if not self._driving:
            self._on_finished(self._ended_at_s)


def connected(runner: Runner) -> frozenset[str]:
    """The workers that Locust counts as alive; without workers, this process."""
    if not isinstance(runner, MasterRunner):
        return frozenset({LOCAL})
    alive = runner.clients.ready + runner.clients.spawning + runner.clients.running
    return frozenset(worker.id for worker in alive)
