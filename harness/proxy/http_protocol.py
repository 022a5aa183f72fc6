"""How long a request to the API may take to arrive. uvicorn itself waits for ever."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

READ_LIMIT_S = 15.0
"""From a request's first byte (or the connection's beginning) to its last; Toxiproxy's `read_timeout`, api.go."""
IDLE_LIMIT_S = 60
"""Between two requests of a connection; Toxiproxy's `IdleTimeout`, api.go."""


class TimedRequests(H11Protocol):
    """Closes a connection whose request has not arrived whole within `READ_LIMIT_S`."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        super().connection_made(transport)
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        self._start_deadline()
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_deadline()

    def send_400_response(self, msg: str) -> None:
        """Also ends the request that the malformed bytes are the body of: uvicorn lets it answer a second time.

        h11 refuses that with an exception, and the log would get its traceback.
        """
        cycle: RequestResponseCycle | None = getattr(self, "cycle", None)  # before a first request it is None
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(READ_LIMIT_S, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
