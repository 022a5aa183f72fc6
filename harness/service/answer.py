"""How one request ended: what the service answers with, and what its metrics and spans are made of."""

from dataclasses import dataclass
from typing import Any

from harness.model.outcomes import Outcome

PROBLEM_JSON = "application/problem+json"
"""The content type of an answer that is a failure (RFC 9457)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a request ended, and how long each part of it took, in seconds."""

    outcome: Outcome
    error: str | None
    """The name of the exception below SQLAlchemy's wrapping; None when ok."""
    checkout_s: float
    connect_s: float
    ping_s: float
    query_s: float
    idle_s: float | None = None
    """How long its connection had been idle in the pool; None: a new one, or none at all."""
    body: Any = None

    @property
    def server_timing(self) -> str:
        """The Server-Timing header, in ms (W3C Server Timing)."""
        parts = {"checkout": self.checkout_s, "connect": self.connect_s, "ping": self.ping_s, "query": self.query_s}
        if self.idle_s is not None:
            parts["idle"] = self.idle_s
        return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in parts.items())
