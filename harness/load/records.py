"""A request as Locust reports it, as a row of the `requests` table. No locust in here: plain values in and out."""

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.service.routes import PROBLEM_JSON

TIMING = re.compile(r"\s*([a-z]+)\s*;\s*dur=([0-9.]+)")
OUTCOMES = frozenset({
    "ok", "pool_timeout", "connect_timeout", "connect_error", "statement_timeout", "connection_lost",
    "client_timeout", "error",
})  # fmt: skip
"""The outcomes by name: harness.model.outcomes knows them too, but needs SQLAlchemy to classify exceptions."""


def server_timing(header: str | None) -> dict[str, float]:
    """`checkout;dur=1.5, connect;dur=0` as seconds by column: `checkout_s`, `connect_s`, …"""
    return {f"{name}_s": float(ms) / 1000 for name, ms in TIMING.findall(header or "")}


def outcome_of(
    status: int, headers: Mapping[str, str], body: bytes, exception: BaseException | None
) -> tuple[str, str | None]:
    """The outcome of an answer, or of none, and the name of what went wrong."""
    if status == 0:
        # The HTTP client wraps what happened to its only try.
        exception = getattr(exception, "original", None) or exception
        if isinstance(exception, TimeoutError) or "timeout" in type(exception).__name__.lower():
            return "client_timeout", type(exception).__name__
        return "error", type(exception).__name__ if exception is not None else "NoAnswer"
    if headers.get("content-type", "").startswith(PROBLEM_JSON):
        problem = json.loads(body)
        outcome = problem.get("type")
        return (outcome, problem.get("detail")) if outcome in OUTCOMES else ("error", f"problem {outcome}")
    return ("ok", None) if 200 <= status < 400 else ("error", f"HTTP {status}")


def row(  # noqa: PLR0913 - one argument a column
    *,
    number: int,
    request: str,
    arrival_s: float,
    start_s: float,
    end_s: float,
    attempts: int,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    exception: BaseException | None,
) -> dict[str, Any]:
    """One row of the `requests` table; moments on the monotonic clock."""
    outcome, error = outcome_of(status, headers, body, exception)
    return {
        "number": number,
        "request": request,
        "arrival_s": arrival_s,
        "start_s": start_s,
        "end_s": end_s,
        "outcome": outcome,
        "error": error,
        "status": status or None,
        "attempts": attempts,
        **server_timing(headers.get("server-timing")),
    }
