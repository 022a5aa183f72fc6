"""Which stack honours which field: nothing that a scenario or a user says is ignored in silence.

`FIELDS` has every field that can be set, with what each stack makes of it. A field that a stack can't honour is refused
by name when a user set it for this run; when the scenario's file sets it, a line of the result says so, because the
file is for every stack. A part in the path, such as a pooler, is refused in a file too: without it the story would be
another one. A new field has no entry, and a test fails until this table says who honours it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from harness.model.arrivals import RequestMix
from harness.model.compute import OnSuspend
from harness.model.errors import UserError
from harness.model.listener import QueueListener
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.retry import Retry
from harness.model.scenario import Scenario
from harness.model.server import ConnectCost, IdleReaper, PgBouncer, ServerLimits
from harness.model.shape import RequestShape
from harness.model.timeline import At, Burst, ConnectionLoss, Deploy, Idle, Outage, Slow, Suspend, Traffic, Warm
from harness.model.wake import WakeProfile
from harness.proxy.silence import can_silence


class Treatment(Enum):
    """What a stack makes of a field."""

    PLAYED = auto()
    """The stack does what the field says."""
    COMMON = auto()
    """The plan or the analysis handles the field, the same way for every stack."""
    CHECKED = auto()
    """The stack does what the field says, except for values that its own `check` refuses by name."""
    TOLD = auto()
    """The stack can't do what the field says, and a line of the result says so."""
    REFUSED = auto()
    """The stack can't do what the field says: an error names the field."""


SIMULATED, EMBEDDED, COMPOSE, TARGET = "simulated", "embedded", "compose", "target"
Treatments = Mapping[str, Treatment]


def _on(simulated: Treatment, embedded: Treatment, compose: Treatment, target: Treatment | None = None) -> Treatments:
    """`target` is as `embedded`, whose proxy it has too, unless it is given."""
    on_target = embedded if target is None else target
    return MappingProxyType({SIMULATED: simulated, EMBEDDED: embedded, COMPOSE: compose, TARGET: on_target})


PLAYED = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.PLAYED)
COMMON = _on(Treatment.COMMON, Treatment.COMMON, Treatment.COMMON)
VIRTUAL_OR_TOLD = _on(Treatment.PLAYED, Treatment.TOLD, Treatment.TOLD)
REAL_OR_REFUSED = _on(Treatment.REFUSED, Treatment.PLAYED, Treatment.PLAYED, Treatment.REFUSED)
CHECKED_OR_REFUSED = _on(Treatment.REFUSED, Treatment.CHECKED, Treatment.CHECKED, Treatment.REFUSED)
VIRTUAL_OR_REFUSED = _on(Treatment.PLAYED, Treatment.REFUSED, Treatment.REFUSED)
CHECKED_IN_REAL_TIME = _on(Treatment.PLAYED, Treatment.CHECKED, Treatment.CHECKED)
CHECKED_ON_COMPOSE = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.CHECKED)
"""What the real Toxiproxy can't express is refused by the compose stack."""
# What a running application, or a coldstart up, brings itself: no run can give it to them.
NOT_ON_TARGET = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.PLAYED, Treatment.REFUSED)
TOLD_ON_COMPOSE_NOT_ON_TARGET = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.TOLD, Treatment.REFUSED)
CHECKED_ON_COMPOSE_NOT_ON_TARGET = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.CHECKED, Treatment.REFUSED)
CHECKED_ON_TARGET = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.PLAYED, Treatment.CHECKED)
LABEL_ON_TARGET = _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.PLAYED, Treatment.TOLD)
"""A setting that says with what the application runs, and sets nothing."""

FIELDS: dict[type, dict[str, Treatments]] = {
    Scenario: {
        "name": COMMON,
        "wake": PLAYED,
        "timeline": _on(Treatment.PLAYED, Treatment.PLAYED, Treatment.CHECKED, Treatment.CHECKED),
        "client_timeout_s": PLAYED,
        "on_disconnect": PLAYED,
        "patience_s": COMMON,
        "instances": NOT_ON_TARGET,
        "max_connections": TOLD_ON_COMPOSE_NOT_ON_TARGET,
        "server": NOT_ON_TARGET,
        "connect_cost": CHECKED_ON_COMPOSE_NOT_ON_TARGET,
        "reaper": CHECKED_ON_COMPOSE_NOT_ON_TARGET,
        "pooler": REAL_OR_REFUSED,
        "listener": PLAYED,
        "retry": PLAYED,
        "alert_sustained_s": COMMON,
        "service_time_s": VIRTUAL_OR_TOLD,
        "connect_time_s": VIRTUAL_OR_TOLD,
        "pools": COMMON,
        "expect": COMMON,
        "control": COMMON,
        "variants": COMMON,
        "real_time": COMMON,
        "description": COMMON,
    },
    WakeProfile: {
        "name": COMMON,
        "description": COMMON,
        "latency": PLAYED,
        "suspend_after_s": CHECKED_ON_COMPOSE,
        "on_suspend": CHECKED_IN_REAL_TIME,
        "while_waking": CHECKED_ON_COMPOSE,
        "addresses": VIRTUAL_OR_TOLD,
        "open_connections_prevent_suspend": CHECKED_ON_COMPOSE,
        "error": CHECKED_ON_COMPOSE,
        "sources": COMMON,
        "unsourced": COMMON,
    },
    # Nothing a user changes is ignored: what is not refused is applied to the story by the plan.
    Overrides: {
        "pools": COMMON,
        "settings": COMMON,
        "wakes": COMMON,
        "on_suspend": COMMON,
        "while_waking": COMMON,
        "requests": COMMON,
        "over_s": COMMON,
        "arrivals": COMMON,
        "warm": COMMON,
        "alert_sustained_s": COMMON,
        "service_time_s": VIRTUAL_OR_REFUSED,
        "connect_time_s": VIRTUAL_OR_REFUSED,
        "calibration": VIRTUAL_OR_REFUSED,
        "kernel": VIRTUAL_OR_REFUSED,
        "application": COMMON,
        "seed": COMMON,
        "repeat": COMMON,
        "control": COMMON,
    },
    # The service reads every setting from its environment, and virtual time builds its engine from the same values.
    PoolConfiguration: {
        "pool_size": LABEL_ON_TARGET,
        "max_overflow": LABEL_ON_TARGET,
        "pool_library": LABEL_ON_TARGET,
        "driver": LABEL_ON_TARGET,
        "pool_timeout_s": LABEL_ON_TARGET,
        "connection_timeout_s": LABEL_ON_TARGET,
        "statement_timeout_s": LABEL_ON_TARGET,
        "pool_recycle_s": LABEL_ON_TARGET,
        "pool_pre_ping": LABEL_ON_TARGET,
        "use_lifo": LABEL_ON_TARGET,
        "max_idle_s": LABEL_ON_TARGET,
        "reconnect_timeout_s": LABEL_ON_TARGET,
        "server_statement_timeout_s": LABEL_ON_TARGET,
        "name": COMMON,
    },
    QueueListener: {
        "heartbeat_every_s": PLAYED,
        "heartbeat_limit_s": PLAYED,
        "connect_timeout_s": PLAYED,
        "backoff_first_s": PLAYED,
        "backoff_max_s": PLAYED,
        "channel": PLAYED,
    },
    ServerLimits: {
        "idle_in_transaction_session_timeout_s": PLAYED,
        "idle_session_timeout_s": PLAYED,
        "role_connection_limit": PLAYED,
    },
    ConnectCost: {"takes_s": CHECKED_ON_COMPOSE, "at_a_time": CHECKED_ON_COMPOSE},
    IdleReaper: {"after_s": CHECKED_ON_COMPOSE, "silently": CHECKED_ON_COMPOSE},
    # Where the pooler itself is played, all of it is, except for what an old PgBouncer does not have.
    PgBouncer: {
        "mode": REAL_OR_REFUSED,
        "default_pool_size": REAL_OR_REFUSED,
        "max_client_conn": REAL_OR_REFUSED,
        "server_connect_timeout_s": REAL_OR_REFUSED,
        "server_login_retry_s": REAL_OR_REFUSED,
        "query_wait_timeout_s": REAL_OR_REFUSED,
        "server_idle_timeout_s": REAL_OR_REFUSED,
        "server_lifetime_s": REAL_OR_REFUSED,
        "client_login_timeout_s": REAL_OR_REFUSED,
        "max_prepared_statements": CHECKED_OR_REFUSED,
        "ignore_startup_parameters": REAL_OR_REFUSED,
    },
    Retry: {"retries": PLAYED, "wait_s": PLAYED, "factor": PLAYED, "max_wait_s": PLAYED, "jitter": PLAYED},
    Warm: {"connections": CHECKED_ON_TARGET, "ages_s": CHECKED_ON_TARGET},
    Suspend: {},
    Idle: {"for_s": PLAYED},
    Slow: {"round_trip_s": PLAYED},
    Outage: {"for_s": PLAYED, "connections": CHECKED_IN_REAL_TIME, "meanwhile": CHECKED_ON_COMPOSE},
    ConnectionLoss: {"share": CHECKED_ON_COMPOSE, "how": CHECKED_IN_REAL_TIME},
    Deploy: {"every_s": CHECKED_ON_TARGET},
    Traffic: {"phases": PLAYED},
    At: {"at_s": PLAYED, "phase": PLAYED},
    RequestShape: {"name": PLAYED, "steps": PLAYED, "at_most": PLAYED, "pool": PLAYED},
    Burst: {
        "requests": PLAYED,
        "over_s": PLAYED,
        "arrivals": PLAYED,
        "mix": PLAYED,
        "given_s": PLAYED,
        "given_requests": PLAYED,
    },
    RequestMix: {"weights": PLAYED, "hold_s": PLAYED},
}

IN_REAL_TIME: dict[str, Callable[[Any], str]] = {
    "service_time_s": lambda _: "service_time is PostgreSQL's own",
    "connect_time_s": lambda _: "connect_time is PostgreSQL's own",
    "max_connections": lambda value: f"max_connections: a CONNECTION LIMIT of {value} of the service's role",
    "addresses": lambda value: f"addresses: 1 of {value}",
}
"""The words for a field of a scenario or a wake whose treatment is TOLD."""
PARTS: dict[str, Callable[[Any], str]] = {
    "pooler": lambda value: f"a pooler ({type(value).__name__})",
    "instances": lambda value: f"{value} instances",
    "max_connections": lambda value: f"max_connections = {value}",
    "server": lambda value: f"limits of the server ({type(value).__name__})",
    "connect_cost": lambda value: f"a cost of connecting ({type(value).__name__})",
    "reaper": lambda value: f"a reaper of idle connections ({type(value).__name__})",
}
"""The words for a field of a scenario whose treatment is REFUSED."""
OPTIONS = {
    "service_time_s": "--service-time",
    "connect_time_s": "--connect-time",
    "calibration": "--calibration",
    "kernel": "--kernel",
}


def check_honoured(stack: str, plan: PlannedRun) -> None:
    """Raises `UserError` for what a user changed, or a file can't do without, that this stack can't honour."""
    for field, _ in _changed_fields(plan.overrides, Overrides, stack, Treatment.REFUSED):
        whose = "this machine" if field == "kernel" else "PostgreSQL"
        what = f"{OPTIONS[field]} belongs to the simulated stack: here it is {whose}'s own"
        raise UserError(what, where=f"stack {stack}")
    for story in plan.stories.values():
        for field, value in _changed_fields(story, Scenario, stack, Treatment.REFUSED):
            raise UserError(
                f"{PARTS[field](value)} can't be played here",
                where=f"scenario {story.name} on stack {stack}",
                allowed=", ".join(f"--stack {other}" for other in stacks_that_can(field)),
            )
    if stack == COMPOSE or (stack in (EMBEDDED, TARGET) and not can_silence()):
        _check_nothing_vanishes(stack, plan)


def _check_nothing_vanishes(stack: str, plan: PlannedRun) -> None:
    """Raises `UserError` where connections are to vanish: the proxy's kernel would acknowledge what clients send.

    This project's own proxy can prevent that on Linux; the real Toxiproxy can't.
    """
    said = [("on_suspend", f"wake {wake.name}", wake.on_suspend) for wake in plan.wakes]
    for story in plan.stories.values():
        for phase in story.phases:
            if isinstance(phase, Outage):
                said.append(("connections of an outage", f"scenario {story.name}", phase.connections))
            elif isinstance(phase, ConnectionLoss):
                said.append(("how of a connection loss", f"scenario {story.name}", phase.how))
    for what, where, word in said:
        if word is OnSuspend.VANISH:
            raise UserError(
                f"{what} vanish can't be played here: a proxy's kernel acknowledges what clients send",
                where=f"{where} on stack {stack}",
                allowed=f"--stack simulated{', --stack embedded' if can_silence() else ''}, or freeze",
            )


def stacks_that_can(field: str) -> list[str]:
    """The stacks that play this field of a scenario."""
    return [stack for stack, how in FIELDS[Scenario][field].items() if how in (Treatment.PLAYED, Treatment.CHECKED)]


def unlike_the_scenario(stack: str, plan: PlannedRun) -> list[str]:
    """Lines with what the scenario or the user says and this stack can't do; none when there is nothing."""
    objects = [*((story, Scenario) for story in plan.stories.values()), *((wake, WakeProfile) for wake in plan.wakes)]
    differences = [
        IN_REAL_TIME[field](value)
        for object_, class_ in objects
        for field, value in _changed_fields(object_, class_, stack, Treatment.TOLD)
    ]
    lines = [f"in real time: {', '.join(dict.fromkeys(differences))}"] if differences else []
    return [*lines, *_of_a_running_application(plan)] if stack == TARGET else lines


def _of_a_running_application(plan: PlannedRun) -> Iterator[str]:
    """What of a pool is only said of an application that is running, and what can't be known of it."""
    label = plan.pools[0].label
    yield f"the pool {label} is what you say it runs with: nothing was set, and its connections and its queue not seen"
    warms = any(isinstance(phase, Warm) for story in plan.stories.values() for phase in story.phases)
    yield "warmed by requests, so many at once" if warms else "not warmed: its pool has what trying its requests opened"
    application = plan.overrides.application
    texts = [
        text
        for request in ([] if application is None else application.kinds)
        for text in (request.target, request.body or "", *(value for _, value in request.headers))
    ]
    if any("{unique}" in text for text in texts) and len(plan.trials) > 1:
        yield "its data stays from one trial to the next: {unique} has the same numbers in all of one seed"


def _changed_fields(object_: object, class_: type, stack: str, treatment: Treatment) -> Iterator[tuple[str, Any]]:
    """The fields with this treatment whose value is not the default."""
    defaults = {field.name: _default(field) for field in fields(class_)}
    for name, treatments in FIELDS[class_].items():
        if treatments[stack] is treatment and (value := getattr(object_, name)) != defaults[name]:
            yield name, value


def _default(field: "Field[Any]") -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
