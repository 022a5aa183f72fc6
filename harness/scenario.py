"""The words a scenario file is written in. Importing this does no I/O and loads neither Locust nor gevent."""

from harness.model.arrivals import RequestMix, RequestName
from harness.model.expectation import (
    Expectation,
    at_least,
    at_most,
    error,
    hang,
    latency_at_most,
    latency_p95_at_most,
    none,
    that,
)
from harness.model.listener import QueueListener
from harness.model.pool import PoolConfiguration, after_change, before_change
from harness.model.retry import Retry
from harness.model.scenario import RealTime, Scenario, Variant, pool
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst, Idle, Slow, Suspend, Warm

__all__ = [
    "Burst",
    "Expectation",
    "Idle",
    "PoolConfiguration",
    "QueueListener",
    "RealTime",
    "RequestMix",
    "RequestName",
    "Retry",
    "Scenario",
    "Slow",
    "Suspend",
    "TrialSummary",
    "Variant",
    "Warm",
    "after_change",
    "at_least",
    "at_most",
    "before_change",
    "error",
    "hang",
    "latency_at_most",
    "latency_p95_at_most",
    "none",
    "pool",
    "that",
]
