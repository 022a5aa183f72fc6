"""Locust as a child of the harness: told what to drive on stdin, every request a record on stdout.

Loaded by Locust itself, as a locustfile (`locust -f …/harness/load/child.py --headless`). The commands:
`{"command": "start", "at_s": T, "requests": N, "over_s": S, "arrivals": "poisson", "mix": [[name, weight], …],
"hold_s": S, "seed": N}` begins a burst at T of the monotonic clock; the end of stdin ends the process.
"""

import json
import os
import time
import traceback
from typing import Any

import gevent
from gevent.fileobject import FileObject
from gevent.queue import Queue
from locust import events

from harness.arrivals import Arrival, Pattern, RequestMix, schedule
from harness.child import emit
from harness.load.records import row
from harness.load.user import OpenLoopUser

CLIENT_TIMEOUT_VARIABLE = "COLDSTART_CLIENT_TIMEOUT_S"

_commands: "Queue[dict[str, Any]]" = Queue()


class ScheduledUser(OpenLoopUser):
    """Drives the bursts that the parent orders."""

    network_timeout = float(os.environ.get(CLIENT_TIMEOUT_VARIABLE, "120"))
    connection_timeout = network_timeout

    def on_start(self) -> None:
        emit({"record": "ready"})

    def next_burst(self) -> tuple[float, tuple[Arrival, ...], float]:
        command = _commands.get()
        mix = RequestMix.of(dict(command["mix"]), hold_s=command["hold_s"])
        arrivals = schedule(
            requests=command["requests"],
            over_s=command["over_s"],
            pattern=Pattern(command["arrivals"]),
            mix=mix,
            seed=command["seed"],
        )
        return command["at_s"], arrivals, mix.hold_s

    def burst_ended(self) -> None:
        emit({"record": "finished", "at_s": time.monotonic()})


@events.init.add_listener
def _listen_to_parent(**_: Any) -> None:  # noqa: ANN401 - Locust's own
    gevent.spawn(_read_stdin)


def _read_stdin() -> None:
    for line in FileObject(0, "rb", close=False):
        _commands.put(json.loads(line))
    # The parent wants this process to stop, or is gone: nobody reads what is still under way.
    os._exit(0)


@events.request.add_listener
def _record(**request: Any) -> None:  # noqa: ANN401 - Locust's own
    try:
        _emit_request(**request)
    except Exception:  # noqa: BLE001 - whatever it is, nothing may be lost silently
        # Locust would log it and go on without the request; the parent must know.
        traceback.print_exc()
        os._exit(1)


def _emit_request(name: str, response: Any, exception: Any, context: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - Locust's own
    answered = response is not None and bool(response.status_code)
    record = row(
        number=context["number"],
        request=name,
        arrival_s=context["arrival_s"],
        start_s=context["start_s"],
        end_s=context["end_s"],
        status=response.status_code if answered else 0,
        headers=response.headers if answered else {},
        body=response.content or b"" if answered else b"",
        exception=getattr(response, "error", None) or exception,
    )
    emit({"record": "request", **record})
