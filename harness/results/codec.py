"""Scenarios and trials as JSON and back: what a manifest keeps of them. Expectations are code and stay behind."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from harness.model.arrivals import RequestMix, RequestName
from harness.model.compute import ErrorResponse, OnSuspend, WhileWaking
from harness.model.listener import QueueListener
from harness.model.pool import PoolConfiguration
from harness.model.retry import Retry
from harness.model.scenario import VARYING, Burst, Idle, Scenario, Slow, Suspend, TimelinePhase, Variant, Warm
from harness.model.trial import Trial
from harness.model.wake import Constant, Empirical, LogNormal, WakeLatency, WakeProfile

PHASES: dict[str, type[TimelinePhase]] = {"warm": Warm, "suspend": Suspend, "idle": Idle, "slow": Slow, "burst": Burst}
LATENCIES: dict[str, Any] = {"constant": Constant, "log_normal": LogNormal, "empirical": Empirical}


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """All of a scenario that is data."""
    return {
        "name": scenario.name,
        "story": scenario.story,
        "changed": list(scenario.changed),
        "client_timeout_s": scenario.client_timeout_s,
        "wakes": [wake_to_json(wake) for wake in scenario.wakes],
        "pools": [pool.to_json() for pool in scenario.pool_configurations],
        "timeline": [_named(PHASES, phase) for phase in scenario.timeline],
        "instances": scenario.instances,
        "max_connections": scenario.max_connections,
        "listener": None if scenario.listener is None else asdict(scenario.listener),
        "retry": None if scenario.retry is None else asdict(scenario.retry),
        "control": scenario.control,
        "alert_sustained_s": scenario.alert_sustained_s,
        "service_time_s": scenario.service_time_s,
        "connect_time_s": scenario.connect_time_s,
        "variant": scenario.variant,
        "variants": [scenario_to_json(story) for story in scenario.stories] if scenario.variants else [],
        "shortened": scenario.shortened,
    }


def scenario_from_json(document: Mapping[str, Any]) -> Scenario:
    """The inverse of `scenario_to_json`; the scenario expects nothing."""
    return Scenario(
        name=document["name"],
        story=document["story"],
        changed=tuple(document["changed"]),
        client_timeout_s=document["client_timeout_s"],
        wake=tuple(wake_from_json(wake) for wake in document["wakes"]),
        pools=tuple(PoolConfiguration.from_json(pool) for pool in document["pools"]),
        timeline=tuple(_phase(phase) for phase in document["timeline"]),
        instances=document["instances"],
        max_connections=document["max_connections"],
        # A manifest from before there were listeners has none.
        listener=None if (listener := document.get("listener")) is None else QueueListener(**listener),
        retry=None if document["retry"] is None else Retry(**document["retry"]),
        control=document["control"],
        alert_sustained_s=document["alert_sustained_s"],
        service_time_s=document["service_time_s"],
        connect_time_s=document["connect_time_s"],
        variant=document["variant"],
        variants=tuple(_variant(scenario_from_json(variant)) for variant in document["variants"]),
        shortened=document["shortened"],
    )


def trial_to_json(trial: Trial) -> dict[str, Any]:
    """A trial within its run; `wake` null is a control."""
    return {
        "number": trial.number,
        "pool": trial.pool.to_json(),
        "wake": None if trial.wake is None else wake_to_json(trial.wake),
        "seed": trial.seed,
        "variant": trial.scenario.variant,
    }


def trial_from_json(document: Mapping[str, Any], scenario: Scenario) -> Trial:
    """The inverse of `trial_to_json`, within its scenario."""
    wake = document["wake"]
    return Trial(
        number=document["number"],
        scenario=next(story for story in scenario.stories if story.variant == document["variant"]),
        pool=PoolConfiguration.from_json(document["pool"]),
        wake=None if wake is None else wake_from_json(wake),
        seed=document["seed"],
    )


def wake_to_json(wake: WakeProfile) -> dict[str, Any]:
    """Every field of a wake profile."""
    plain = {field.name: getattr(wake, field.name) for field in fields(wake)}
    return {**plain, "latency": _named(LATENCIES, wake.latency), "error": asdict(wake.error)}


def wake_from_json(document: Mapping[str, Any]) -> WakeProfile:
    """The inverse of `wake_to_json`."""
    changed = {
        "latency": _latency(document["latency"]),
        "error": ErrorResponse(**document["error"]),
        "on_suspend": OnSuspend(document["on_suspend"]),
        "while_waking": WhileWaking(document["while_waking"]),
        "sources": tuple(document["sources"]),
        "unsourced": tuple(document["unsourced"]),
    }
    return WakeProfile(**{**document, **changed})


def _variant(story: Scenario) -> Variant:
    return Variant(story.variant, **{name: getattr(story, name) for name in VARYING})


def _named(kinds: Mapping[str, type], value: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the kinds
    kind = next(name for name, class_ in kinds.items() if type(value) is class_)
    return {"kind": kind, **asdict(value)}


def _latency(document: Mapping[str, Any]) -> WakeLatency:
    kind, rest = _split(document)
    if "latencies_s" in rest:
        rest["latencies_s"] = tuple(rest["latencies_s"])
    latency: WakeLatency = LATENCIES[kind](**rest)
    return latency


def _phase(document: Mapping[str, Any]) -> TimelinePhase:
    kind, rest = _split(document)
    if "mix" in rest:
        weights = tuple((RequestName(name), weight) for name, weight in rest["mix"]["weights"])
        rest["mix"] = RequestMix(weights, rest["mix"]["hold_s"])
        rest["given_s"] = tuple(rest["given_s"])
    return PHASES[kind](**rest)


def _split(document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    rest = dict(document)
    return rest.pop("kind"), rest
