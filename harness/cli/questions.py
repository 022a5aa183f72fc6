"""What a user asks on the command line, as a scenario: the file's story with what was asked differently."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.limits import check_number
from harness.model.pool import SHORT_FORM_ALLOWED, PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.wake import read_wake


def asked(given: Mapping[str, Any], *, real_time: bool = False) -> Scenario:
    """The scenario with the options (`pools`, `wakes`, `over_s`, …) applied; an option left out is the file's.

    In real time it is the story as its file shortens it for that, if it does.
    """
    scenario = load_scenario(given["scenario"])
    scenario = scenario.in_real_time() if real_time else scenario
    pools: tuple[PoolConfiguration | str, ...] = tuple(read_pool(text) for text in given["pools"]) or scenario.pools
    settings = read_settings(given["settings"])
    if settings:
        chosen = replace(scenario, pools=pools).pool_configurations
        pools = tuple(pool.with_settings(settings) for pool in chosen)
    wakes = (
        tuple(read_wake(text, otherwise=scenario.wakes[0], where="--wake") for text in given["wakes"]) or scenario.wakes
    )
    behaviour = {name: given[name] for name in ("on_suspend", "while_waking") if given[name] is not None}
    changed = tuple(f"{name}={value}" for name, value in behaviour.items())
    scenario = replace(
        scenario,
        pools=pools,
        wake=tuple(dict.fromkeys(wake.but(**behaviour) for wake in wakes)),
        changed=(*scenario.changed, *changed),
    )
    if (sustained_s := given["alert_sustained_s"]) is not None:
        check_number("it", sustained_s, where="--alert-after")
        scenario = replace(scenario, alert_sustained_s=sustained_s)
    return scenario.asked_differently(
        requests=given["requests"], over_s=given["over_s"], arrivals=given["arrivals"], warm=given["warm"]
    )


def read_pool(text: str) -> PoolConfiguration:
    """`10+5`, or `10+5,pool_timeout=30,use_lifo=false`; `env` for the short form: the DATABASE_ variables."""
    short, *settings = text.split(",")
    pool = PoolConfiguration.from_environment(os.environ) if short == "env" else PoolConfiguration.from_short(short)
    return pool.with_settings(read_settings(settings, where="--pool"), where="--pool")


def read_settings(pairs: Sequence[str], *, where: str = "--set") -> dict[str, str]:
    """`NAME=VALUE` pairs; the names are checked where they are applied."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            allowed = SHORT_FORM_ALLOWED + ", then NAME=VALUE" if where == "--pool" else "NAME=VALUE"
            raise UserError(f"{pair!r} is not a setting", where=where, allowed=allowed)
        settings[name.strip()] = value.strip()
    return settings
