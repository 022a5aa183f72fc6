"""The open-loop user: one Locust user a process that starts a greenlet for every scheduled arrival.

Stock Locust users wait for an answer before they ask again, so a stalled database would stop the arrivals and hide
its own failures (coordinated omission). Here the schedule alone decides when a request starts, and its latency
counts from the moment it was meant to start.
"""

import time
from typing import Any

import gevent
from gevent.pool import Group
from locust import task
from locust.contrib.fasthttp import FastHttpUser

from harness.load.distribution import FINISHED, WAITING, Inbox
from harness.load.records import outcome_of
from harness.model.arrivals import Arrival
from harness.model.burst_share import BurstShare
from harness.model.outcomes import Outcome
from harness.service.routes import ROUTES

SPIN_S = 0.0005
"""gevent's timers are a little late: the last half millisecond is waited for by yielding only."""


class OpenLoopUser(FastHttpUser):
    """Drives this process' shares of the bursts that the master begins."""

    abstract = True
    # Never queue a request behind another one, never ask twice, never follow.
    concurrency = 1_000_000
    max_retries = 0
    max_redirects = 0
    urls: tuple[str, ...] = ()
    """The service's instances, which the requests go to in turn; none: Locust's own host."""
    inbox = Inbox()
    """One a process: whatever number of users Locust starts in it, each share is driven once."""

    def on_start(self) -> None:
        self.environment.runner.send_message(WAITING)

    def burst_ended(self) -> None:
        """Every request of the share has ended."""
        self.environment.runner.send_message(FINISHED, {"at_s": time.monotonic()})

    @task
    def play(self) -> None:
        """One share of a burst, from its start to the end of its last request."""
        share, start_s = self.inbox.next_share()
        requests = Group()
        for arrival in share.arrivals():
            wait_until(start_s + arrival.at_s)
            requests.start(gevent.Greenlet(self._ask, arrival, start_s, share))
        requests.join()
        self.burst_ended()

    def _ask(self, arrival: Arrival, start_s: float, share: BurstShare) -> None:
        """One request, until an answer is good or its client has no retry left."""
        context: dict[str, Any] = {
            "number": arrival.number, "arrival_s": start_s + arrival.at_s, "start_s": time.monotonic()
        }  # fmt: skip
        waits_s = share.waits_s(arrival.number)
        for attempt, wait_s in enumerate([*waits_s, None], start=1):
            if self._try(arrival, share.burst.mix.hold_s, {**context, "attempts": attempt, "last": wait_s is None}):
                return
            gevent.sleep(wait_s or 0.0)

    def _instance(self, number: int) -> str:
        return self.urls[number % len(self.urls)] if self.urls else ""

    def _try(self, arrival: Arrival, hold_s: float, context: dict[str, Any]) -> bool:
        """Ask once; whether the answer was good. What Locust is told is the last try's when its context says so."""
        route = ROUTES[arrival.request]
        began_s = time.monotonic()
        with self.client.request(
            route.method,
            self._instance(arrival.number) + route.url(arrival.key, hold_s=hold_s),
            name=arrival.request.value,
            catch_response=True,
            context=context,
        ) as answer:
            end_s = time.monotonic()
            outcome, _ = outcome_of(
                answer.status_code or 0, answer.headers or {}, answer.content or b"", answer.request_meta["exception"]
            )
            # Locust has made a copy of the context; its own statistics count from the intended start too.
            told = answer.request_meta["context"]
            told["end_s"] = end_s
            told["last"] = told["last"] or outcome is Outcome.OK
            since_s = told["arrival_s"] if told["attempts"] == 1 else began_s
            answer.request_meta["response_time"] = (end_s - since_s) * 1000
            if outcome is Outcome.OK:
                answer.success()
            else:
                answer.failure(outcome.value)
        return outcome is Outcome.OK


def wait_until(at_s: float) -> None:
    """Yield to the other greenlets until this moment of the monotonic clock."""
    while (left_s := at_s - time.monotonic()) > 0:
        gevent.sleep(max(0.0, left_s - SPIN_S))
