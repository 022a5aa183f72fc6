"""The words a scenario file is written in. Importing this does no I/O and loads neither Locust nor gevent."""

from harness.model.arrivals import RequestMix, RequestName
from harness.model.distribution import Constant, Empirical, LogNormal, Uniform
from harness.model.expectation import (
    Expectation,
    answered_within,
    at_least,
    at_most,
    error,
    hang,
    latency_at_most,
    latency_p95_at_most,
    misses,
    none,
    that,
)
from harness.model.listener import QueueListener
from harness.model.pool import (
    PoolConfiguration,
    after_change,
    after_change_psycopg,
    before_change,
    before_change_psycopg,
)
from harness.model.replay import Replay
from harness.model.retry import Retry
from harness.model.scenario import RealTime, Scenario, Variant, pool
from harness.model.server import ConnectCost, IdleReaper, PgBouncer, ServerLimits
from harness.model.shape import Checkout, Commit, Parallel, Query, RequestShape, Upstream, Write
from harness.model.story import OnDisconnect
from harness.model.summary import TrialSummary
from harness.model.timeline import At, Burst, ConnectionLoss, Deploy, Idle, Outage, Slow, Suspend, Traffic, Warm

__all__ = [
    "At",
    "Burst",
    "Checkout",
    "Commit",
    "ConnectCost",
    "ConnectionLoss",
    "Constant",
    "Deploy",
    "Empirical",
    "Expectation",
    "Idle",
    "IdleReaper",
    "LogNormal",
    "OnDisconnect",
    "Outage",
    "Parallel",
    "PgBouncer",
    "PoolConfiguration",
    "Query",
    "QueueListener",
    "RealTime",
    "Replay",
    "RequestMix",
    "RequestName",
    "RequestShape",
    "Retry",
    "Scenario",
    "ServerLimits",
    "Slow",
    "Suspend",
    "Traffic",
    "TrialSummary",
    "Uniform",
    "Upstream",
    "Variant",
    "Warm",
    "Write",
    "after_change",
    "after_change_psycopg",
    "answered_within",
    "at_least",
    "at_most",
    "before_change",
    "before_change_psycopg",
    "error",
    "hang",
    "latency_at_most",
    "latency_p95_at_most",
    "misses",
    "none",
    "pool",
    "that",
]
