"""A request as Locust reports it, as a row of the `requests` table. No locust in here: plain values in and out."""

import json
import re
from collections.abc import Mapping, Sequence

from harness.model.application_request import ApplicationRequest
from harness.model.outcomes import Outcome
from harness.model.rows import RequestRow
from harness.service.answer import PROBLEM_JSON

TIMING = re.compile(r"(?<![\w-])([a-z]+)\s*;\s*dur=([0-9]{1,12}(?:\.[0-9]{1,12})?)(?![\w.])")
"""An application's header is text from outside: with more digits than these it is no time, or none that is finite."""
TIMED = frozenset({"checkout", "connect", "ping", "query", "idle"})
"""What the service times; an application of the user's own may have entries of its own."""

LONGEST_NAME = 200
"""Characters of what went wrong, in a row: the answer is the service's, and may be anything."""


def server_timing(header: str | Sequence[str] | None) -> dict[str, float]:
    """`checkout;dur=1.5, connect;dur=0` as seconds by column: `checkout_s`, `connect_s`, …

    Of several headers of that name, which Locust's client gives as a list, the last one is ours.
    """
    text = header if isinstance(header, str) else ", ".join(header or ())
    return {f"{name}_s": float(ms) / 1000 for name, ms in TIMING.findall(text) if name in TIMED}


def outcome_of(
    status: int, headers: Mapping[str, str], body: bytes, exception: BaseException | None
) -> tuple[Outcome, str | None]:
    """The outcome of an answer, or of none, and the name of what went wrong."""
    if status == 0:
        # The HTTP client wraps what happened to its only try.
        exception = getattr(exception, "original", None) or exception
        if isinstance(exception, TimeoutError) or "timeout" in type(exception).__name__.lower():
            return Outcome.CLIENT_TIMEOUT, type(exception).__name__
        return Outcome.ERROR, type(exception).__name__ if exception is not None else "NoAnswer"
    if headers.get("content-type", "").startswith(PROBLEM_JSON):
        return _problem(body)
    return (Outcome.OK, None) if 200 <= status < 400 else (Outcome.ERROR, f"HTTP {status}")


def _problem(body: bytes) -> tuple[Outcome, str | None]:
    """What a body in problem+json says; somebody else's service may answer in this type, and in other words."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return Outcome.ERROR, "problem that is no JSON"
    said = problem if isinstance(problem, dict) else {}
    type_, detail = said.get("type"), said.get("detail")
    if not isinstance(type_, str) or type_ not in set(Outcome):
        return Outcome.ERROR, f"problem {type_}"[:LONGEST_NAME]
    return Outcome(type_), detail[:LONGEST_NAME] if isinstance(detail, str) else None


def outcome_of_application(
    request: ApplicationRequest, status: int, headers: Mapping[str, str], exception: BaseException | None
) -> tuple[Outcome, str | None]:
    """The outcome of an application's answer: by its status, and by what its guest says of a failure."""
    if status == 0:
        return outcome_of(status, headers, b"", exception)
    if request.is_good(status):
        return Outcome.OK, None
    outcome, _, error = headers.get("coldstart-outcome", "").partition(" ")
    if outcome in set(Outcome):
        return Outcome(outcome), error[:LONGEST_NAME]
    return Outcome.ERROR, f"HTTP {status}"


def row(  # noqa: PLR0913 - one argument a column
    *,
    number: int,
    request: str,
    arrival_s: float,
    start_s: float,
    end_s: float,
    attempts: int,
    burst: int,
    status: int,
    headers: Mapping[str, str],
    outcome: tuple[Outcome, str | None],
) -> RequestRow:
    """One row of the `requests` table; moments on the monotonic clock."""
    return RequestRow(
        number=number,
        request=request,
        arrival_s=arrival_s,
        start_s=start_s,
        end_s=end_s,
        outcome=outcome[0],
        error=outcome[1],
        status=status or None,
        attempts=attempts,
        burst=burst,
        **server_timing(headers.get("server-timing")),
    )
