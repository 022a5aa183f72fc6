"""Converts manifests of format 2 to the current format.

Format 2 has the scenario as it was played, not as in its file; a user's changes are there only as words, apart from
the simulated database's times.
"""

from typing import Any

from harness.model.scenario import VARYING

OLD_FORMAT = 2
WHOLE = frozenset({"requests", "warm"})
SECONDS = {"over": "over_s"}


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """The document in format 3. Raises `KeyError`, `TypeError` and similar for a document that is no manifest."""
    unchanged = {
        name: value for name, value in document.items() if name not in ("scenario", "asked", "format", "trials")
    }
    scenario = document["scenario"]
    overrides = {**_changed(scenario["changed"]), **document.get("asked", {})}
    plan = {
        "scenario": _scenario(scenario),
        "overrides": {**overrides, "control": any(trial["wake"] is None for trial in document["trials"])},
        "real_time": document["stack"] != "simulated",
    }
    return {**unchanged, "plan": plan, "trials": [_trial(trial) for trial in document["trials"]], "format": 3}


def _scenario(old: dict[str, Any]) -> dict[str, Any]:
    gone = ("changed", "story", "wakes", "pools", "variant", "variants", "shortened")
    shortened = old["shortened"]
    return {
        **{name: value for name, value in old.items() if name not in gone},
        "description": old["story"],
        "wake": old["wakes"],
        "pools": [_pool(pool) for pool in old["pools"]],
        "variants": [_variant(variant) for variant in old["variants"]],
        "real_time": {"description": shortened, "changes": {}} if shortened else None,
    }


def _variant(old: dict[str, Any]) -> dict[str, Any]:
    return {"name": old["variant"], "changes": {name: value for name, value in old.items() if name in VARYING}}


def _trial(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "pool": _pool(old["pool"])}


def _pool(old: dict[str, Any]) -> dict[str, Any]:
    """Format 2 does not say whether pool_timeout follows connection_timeout; equal ones are taken as following."""
    return {**old, "pool_timeout_follows": old["pool_timeout"] == old["connection_timeout"]}


def _changed(words: list[str]) -> dict[str, Any]:
    """Read `requests=7`, `over=3.0`, `on_suspend=close`. Applying them again is harmless."""
    changes: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        changes[SECONDS.get(name, name)] = int(value) if name in WHOLE else float(value) if name in SECONDS else value
    return changes
