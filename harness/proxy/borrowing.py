"""A compute that is lent to a client of the API, and is again as it was however that client ends.

The loan lasts as long as the client reads the events that it is answered with. So a client that is killed gives back
what it borrowed too: its connection to the API ends with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from harness.proxy.bodies import ApiError
from harness.proxy.events import EventStream
from harness.proxy.proxy import Proxy
from harness.proxy.sleep import SleepingCompute, attach_compute


class Loan(StreamingResponse):
    """The events from now on; while they are read, the proxy's compute and its toxics are the client's to change."""

    def __init__(self, proxy: Proxy, compute: SleepingCompute, events: EventStream) -> None:
        super().__init__(events.listen(), media_type="application/x-ndjson")
        self._proxy = proxy
        self._compute = compute

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with _lent(self._proxy, self._compute):
            await super().__call__(scope, receive, send)


@contextmanager
def _lent(proxy: Proxy, compute: SleepingCompute) -> Iterator[None]:
    """While inside it is lent. Then it has the compute's settings, awake, and the toxics that it had, and no others."""
    if proxy.lent:
        raise ApiError("proxy is lent already", 423)
    proxy.lent = True
    toxics = list(proxy.toxics)
    # The draws go on where they were: a second run is not to begin them anew.
    drawn_s = compute.settings.wake_latencies_s
    settings = replace(compute.settings, wake_latencies_s=drawn_s[compute.wakes :] or drawn_s[-1:])
    try:
        yield
    finally:
        proxy.lent = False
        for attached in [attached for attached in proxy.toxics if attached not in toxics]:
            proxy.remove_toxic(attached)
        attach_compute(proxy, settings)
