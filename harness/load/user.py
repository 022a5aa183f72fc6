"""The open-loop user: one Locust user a process that starts a greenlet for every scheduled arrival.

Stock Locust users wait for an answer before they ask again, so a stalled database would stop the arrivals and hide
its own failures (coordinated omission). Here the schedule alone decides when a request starts, and its latency
counts from the moment it was meant to start.
"""

import time
from collections.abc import Mapping
from typing import Any

import gevent
from gevent.pool import Group
from locust import task
from locust.contrib.fasthttp import FastHttpUser

from harness.load.distribution import FINISHED, WAITING, Inbox, StartedShare
from harness.load.records import outcome_of, outcome_of_application
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import Arrival
from harness.model.outcomes import Outcome
from harness.model.retry import Attempts

SPIN_S = 0.0005
"""gevent's timers are a little late: the last half millisecond is waited for by yielding only."""


class OpenLoopUser(FastHttpUser):
    """Drives this process' shares of the bursts that the master begins."""

    abstract = True
    # Never queue a request behind another one, never retry, never follow a redirect.
    concurrency = 1_000_000
    max_retries = 0
    max_redirects = 0
    inbox = Inbox()
    """One a process: whatever number of users Locust starts in it, each share is driven once."""

    def on_start(self) -> None:
        self.environment.runner.send_message(WAITING)

    def burst_begins(self) -> None:
        """A share of a burst is to be driven."""

    def burst_ended(self) -> None:
        """Every request of the share has ended."""
        self.environment.runner.send_message(FINISHED, {"at_s": time.monotonic()})

    @task
    def play(self) -> None:
        """One share of a burst, from its start to the end of its last request."""
        started = self.inbox.next_share()
        self.burst_begins()
        requests = Group()
        for arrival in started.share.arrivals():
            wait_until(started.start_s + arrival.at_s)
            requests.start(gevent.Greenlet(self._ask, arrival, started))
        requests.join()
        self.burst_ended()

    def _ask(self, arrival: Arrival, started: StartedShare) -> None:
        """One request, until an answer is good or its client has no retry left."""
        attempts = Attempts(started.share.waits_s(arrival.number))
        instance = started.urls[arrival.number % len(started.urls)] if started.urls else ""
        context = {
            "number": started.share.first_number + arrival.number, "burst": started.share.first_burst + arrival.burst,
            "arrival_s": started.start_s + arrival.at_s, "start_s": time.monotonic(),
        }  # fmt: skip
        while (wait_s := self._try(arrival, instance, attempts, context)) is not None:
            gevent.sleep(wait_s)

    def _try(self, arrival: Arrival, instance: str, attempts: Attempts, context: Mapping[str, Any]) -> float | None:
        """Try once; how long until the next try, None after the last. Locust is told whether it was the last."""
        request = arrival.request
        sent: dict[str, Any] = {}
        if isinstance(request, ApplicationRequest):
            asked = request.asked(arrival.key)
            target, sent = asked.target, {"headers": dict(asked.headers), "data": asked.body}
        else:
            target = arrival.url
        attempt_start_s = time.monotonic()
        with self.client.request(
            request.method,
            instance + target,
            name=request.value,
            catch_response=True,
            **sent,
            context={**context, "attempts": attempts.number},
        ) as answer:
            end_s = time.monotonic()
            status, headers, exception = answer.status_code or 0, answer.headers or {}, answer.request_meta["exception"]
            if isinstance(request, ApplicationRequest):
                outcome, error = outcome_of_application(request, status, headers, exception)
            else:
                outcome, error = outcome_of(status, headers, answer.content or b"", exception)
            wait_s = attempts.wait_after_s(outcome)
            # Locust copied the context, so the copy is changed. Its statistics count from the intended start too.
            reported = answer.request_meta["context"]
            reported["end_s"] = end_s
            reported["last"] = wait_s is None
            reported["outcome"] = outcome, error
            since_s = reported["arrival_s"] if reported["attempts"] == 1 else attempt_start_s
            answer.request_meta["response_time"] = (end_s - since_s) * 1000
            if outcome is Outcome.OK:
                answer.success()
            else:
                answer.failure(outcome.value)
        return wait_s


def wait_until(at_s: float) -> None:
    """Yield to the other greenlets until this moment of the monotonic clock."""
    while (remaining_s := at_s - time.monotonic()) > 0:
        gevent.sleep(max(0.0, remaining_s - SPIN_S))
