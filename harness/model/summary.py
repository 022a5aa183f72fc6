"""What one trial came to: the numbers of `--json`, of summary.csv and of every table and expectation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.model.outcomes import Outcome
from harness.model.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary:
    """The numbers of one trial. Durations in seconds, moments in seconds from the start of the burst."""

    trial: Trial
    requests: int
    """Requests that ended; fewer than the schedule's in a trial that was cut short."""
    outcomes: dict[Outcome, int]
    latency_s: dict[str, float]
    """p50, p95, p99, max, over every request, counted from its arrival."""
    checkout_wait_s: dict[str, float]
    """p50, p95, max of the time in the pool's queue."""
    peak_checked_out: int
    peak_waiting: int
    woke_after_s: float | None
    recovered_after_s: float | None
    """The first moment after the wake at which nobody waits in the queue and no connection is being made."""
    utilization_alert_s: float | None
    """When checked_out / pool_size had been above the alert's share for its sustained time; None: never."""
    first_failure_s: float | None
    wall_s: float
    complete: bool = True
    """Whether every scheduled request ended."""
    errors: dict[str, int] = field(default_factory=dict)
    """The failures by the name of what was raised."""
    latencies_s: Sequence[float] = field(default=(), repr=False, compare=False)
    """Every request's, in the order of their numbers."""
    attempts: int = 0
    """What the service was asked in all, retries included."""
    wakes: int = 0
    awake_s: float | None = None
    """How long the compute was awake between the trial's first and last event: what it is paid for."""
    live_after: int | None = None
    """Connections the pool holds at the end."""
    idle_p95_s: float | None = None
    """Of the connections that were given out: how long they had been idle, 95th percentile."""
    listener: Sequence[tuple[str, float, float | None]] = field(default=(), repr=False)
    """The queue listener's events: what, when, and the duration that goes with it."""
    late_start_s: dict[str, float] = field(default_factory=dict)
    """p99, max of how late the load generator started requests."""
    kept_schedule: bool = True
    """False: the load generator was late; the trial is not a measurement."""
    wake_late_s: dict[str, float] = field(default_factory=dict)
    """Injection error: detected, woken, first_released, last_released: each how long after its due time."""

    @property
    def failed(self) -> int:
        return self.requests - self.outcomes.get(Outcome.OK, 0)

    def count(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)

    def rate(self, outcome: Outcome) -> float:
        """The outcome's share of all requests; 0 without any request."""
        return self.count(outcome) / self.requests if self.requests else 0.0

    @property
    def alert_lead_s(self) -> float | None:
        """How long before the first failure the alert came; negative: after it. None: one of them never came."""
        if self.utilization_alert_s is None or self.first_failure_s is None:
            return None
        return self.first_failure_s - self.utilization_alert_s

    def longer_than(self, seconds: float) -> int:
        """How many requests took longer than this."""
        return sum(1 for latency_s in self.latencies_s if latency_s > seconds)

    @property
    def exhaustion(self) -> float:
        """Requests that ended in a pool timeout, as a share of all requests."""
        return self.rate(Outcome.POOL_TIMEOUT)

    def to_json(self) -> dict[str, Any]:
        """The document's trial, as the outside contract has it."""
        return {
            "pool": self.trial.pool.to_json(),
            **({"variant": self.trial.variant} if self.trial.variant else {}),
            "wake": self.trial.wake_json(),
            "seed": self.trial.seed,
            "requests": self.requests,
            "outcomes": {outcome.value: count for outcome, count in self.outcomes.items() if count},
            "latency_s": self.latency_s,
            "checkout_wait_s": self.checkout_wait_s,
            "peak_checked_out": self.peak_checked_out,
            "peak_waiting": self.peak_waiting,
            "woke_after_s": self.woke_after_s,
            "recovered_after_s": self.recovered_after_s,
            "utilization_alert_s": self.utilization_alert_s,
            "first_failure_s": self.first_failure_s,
            "alert_lead_s": self.alert_lead_s,
            "errors": self.errors,
            "attempts": self.attempts,
            "wakes": self.wakes,
            "awake_s": self.awake_s,
            "live_after": self.live_after,
            "idle_p95_s": self.idle_p95_s,
            "wall_s": self.wall_s,
            "complete": self.complete,
            "late_start_s": self.late_start_s,
            "kept_schedule": self.kept_schedule,
            "wake_late_s": self.wake_late_s,
        }

    def to_row(self) -> dict[str, Any]:
        """The row of summary.csv, by harness.model.columns.SUMMARY: the same numbers, flat.

        A setting has its unit in its name, so that pool_timeout_s is one and pool_timeout counts requests. A quantile
        that does not exist stays empty.
        """
        wake = self.trial.wake_json() or {"profile": None, "latency_s": None, "on_suspend": None, "while_waking": None}
        return {
            "trial": self.trial.number,
            "seed": self.trial.seed,
            "control": self.trial.is_control,
            "variant": self.trial.variant or None,
            **{f"wake_{name}": value for name, value in wake.items()},
            **asdict(self.trial.pool.resolved),
            "requests": self.requests,
            "failed": self.failed,
            **{outcome.value: self.count(outcome) for outcome in Outcome},
            "exhaustion": self.exhaustion,
            **{f"latency_{name}_s": self.latency_s.get(name) for name in ("p50", "p95", "p99", "max")},
            **{f"checkout_wait_{name}_s": self.checkout_wait_s.get(name) for name in ("p50", "p95", "max")},
            "peak_checked_out": self.peak_checked_out,
            "peak_waiting": self.peak_waiting,
            "woke_after_s": self.woke_after_s,
            "recovered_after_s": self.recovered_after_s,
            "utilization_alert_s": self.utilization_alert_s,
            "first_failure_s": self.first_failure_s,
            "alert_lead_s": self.alert_lead_s,
            "attempts": self.attempts,
            "wakes": self.wakes,
            "awake_s": self.awake_s,
            "live_after": self.live_after,
            "idle_p95_s": self.idle_p95_s,
            "late_start_p99_s": self.late_start_s.get("p99"),
            "late_start_max_s": self.late_start_s.get("max"),
            "kept_schedule": self.kept_schedule,
            "complete": self.complete,
            "wall_s": self.wall_s,
        }
