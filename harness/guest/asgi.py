"""The application, wrapped: each HTTP answer says what the request's database did, and where its time went.

The answer gets `Server-Timing` (checkout, connect, ping, query, idle: as the service under test's) and, where its
status is 400 or more, `Coldstart-Outcome` with the outcome and the error's name.
"""

import logging
import sys
from copy import copy
from http import HTTPStatus

from harness.guest.application import AsgiApplication, Message, Receive, Scope, Send
from harness.guest.verdict import VERDICT, Verdict
from harness.model.outcomes import Outcome
from harness.service.answer import Answer
from harness.service.trace import TRACE, RequestTrace

OUTCOME = "coldstart-outcome"

logger = logging.getLogger("uvicorn.error")


class ObservedApplication:
    """An ASGI application around another one. What is no HTTP request goes through as it is."""

    def __init__(self, application: AsgiApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        trace, verdict = RequestTrace(), Verdict()
        tokens = TRACE.set(trace), VERDICT.set(verdict)
        started = complete = False

        async def observed(message: Message) -> None:
            nonlocal started, complete
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", ()), *_headers(message, trace, verdict)]}
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._application(scope, receive, observed)
        except Exception as exception:
            verdict.raised(exception)
            if not started:
                # What the server would answer, but with the headers.
                plain = [(b"content-type", b"text/plain; charset=utf-8")]
                await observed({
                    "type": "http.response.start", "status": int(HTTPStatus.INTERNAL_SERVER_ERROR), "headers": plain,
                })  # fmt: skip
                await observed({"type": "http.response.body", "body": b"Internal Server Error"})
            if not complete:
                raise
            # The client has its answer. A server that hears of the exception closes the connection behind it, while
            # the load generator may be asking again on it: a failure that no client of a proxy's would see.
            logger.exception("Exception in ASGI application", exc_info=exception)
        finally:
            TRACE.reset(tokens[0])
            VERDICT.reset(tokens[1])


def answer_of(trace: RequestTrace, outcome: Outcome, error: str | None) -> Answer:
    """What is known of a request at this moment of it."""
    until_now = copy(trace)
    until_now.ended()
    return Answer(
        outcome=outcome,
        error=error,
        checkout_s=until_now.checkout_s,
        connect_s=until_now.connect_s,
        ping_s=until_now.ping_s,
        query_s=until_now.query_s,
        idle_s=until_now.idle_s,
    )


def _is_this_answer(exception: Exception, status: int) -> bool:
    """Whether it is how a framework is told to answer so (Starlette's and FastAPI's HTTPException), and no mistake."""
    return getattr(exception, "status_code", None) == status


def _headers(message: Message, trace: RequestTrace, verdict: Verdict) -> list[tuple[bytes, bytes]]:
    headers = [(b"server-timing", answer_of(trace, Outcome.OK, None).server_timing.encode())]
    if message["status"] >= HTTPStatus.BAD_REQUEST:
        # A framework's own handler answers while the exception is being handled (Starlette's ServerErrorMiddleware).
        exception = sys.exception()
        if isinstance(exception, Exception) and not _is_this_answer(exception, message["status"]):
            verdict.raised(exception)
        if verdict.outcome is not None:
            headers.append((OUTCOME.encode(), f"{verdict.outcome.value} {verdict.error}".encode("ascii", "replace")))
    return headers
