"""The pools of asyncpg and psycopg_pool in virtual time: deterministic, prompt, and what docs/pools.md says of them."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from harness.library import load_scenario
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import pool
from harness.model.timeline import At, Burst, Deploy, Idle, Suspend, Traffic, Warm
from harness.model.wake import profile
from harness.simulation.rows import Simulated
from harness.simulation.trial import simulate

LIBRARIES = ("asyncpg", "psycopg_pool")
BURST = Burst(requests=200, over_s=20, arrivals="poisson")
either = pytest.mark.parametrize("library", LIBRARIES)


def played(library: str, *timeline: Any, short: str = "5+0", wake_s: float = 12.0, **behaviour: str) -> Simulated:
    story = replace(
        load_scenario("cold_burst"),
        wake=profile("neon", latency_s=wake_s, **behaviour),
        pools=(pool(short, pool_library=library),),
        timeline=timeline or (Warm(), Suspend(), BURST),
        expect={},
    )
    plan = PlannedRun(scenario=story, overrides=Overrides(control=False))
    (trial,) = plan.trials
    return simulate(trial, plan.times(trial.story))


def outcomes(rows: Simulated) -> Counter[str]:
    return Counter(str(row["outcome"]) for row in rows.requests)


def digest(library: str) -> str:
    rows = played(library, while_waking="refuse")
    text = json.dumps([rows.requests, rows.pool, rows.events], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@either
def test_two_runs_and_two_hash_seeds_give_the_same_rows(library: str) -> None:
    code = f"from tests.simulation.test_pools_in_virtual_time import digest; print(digest({library!r}))"
    found = {digest(library)}
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_a_trial_leaves_the_interpreters_chance_as_it_was() -> None:
    before = random.getstate()
    played("psycopg_pool", while_waking="refuse")
    assert random.getstate() == before


@pytest.mark.parametrize(("library", "timeout"), [("asyncpg", "connect_timeout"), ("psycopg_pool", "pool_timeout")])
def test_a_wake_beyond_every_timeout_is_lost_while_connecting_or_while_waiting(library: str, timeout: str) -> None:
    assert outcomes(played(library)) == {"ok": 178, timeout: 22}
    assert outcomes(played(library, wake_s=8.0)) == {"ok": 200}


@either
def test_a_connection_that_comes_back_is_used_again(library: str) -> None:
    # psycopg_pool replaces each connection of the moment 0.0 of its clock.
    rows = played(library, Warm(), BURST)
    assert rows.pool[-1]["connects"] == 5


def test_asyncpgs_pool_wakes_a_compute_that_has_closed_its_connections() -> None:
    rows = played("asyncpg", Warm(), Suspend(), Idle(60.0), BURST)
    woken_s = next(row["at_s"] for row in rows.events if row["event"] == "woken")
    assert woken_s == pytest.approx(-48.0)
    assert outcomes(rows) == {"ok": 200}


def test_a_lone_request_of_psycopg_pool_runs_out_on_five_dead_connections_of_a_database_that_is_awake() -> None:
    story = (Warm(), Suspend(), Idle(60.0), Burst.at(0.0))
    assert outcomes(played("psycopg_pool", *story, wake_s=0.1)) == {"pool_timeout": 1}
    four = played("psycopg_pool", *story, wake_s=0.1, short="4+0")
    assert outcomes(four) == {"ok": 1}
    assert four.requests[0]["latency_s"] > 6


def test_asyncpgs_pool_that_can_not_open_fails_all_who_wait_for_it() -> None:
    found = outcomes(played("asyncpg", Warm(0), Suspend(), BURST))
    assert found["connect_timeout"] > 100
    assert sum(found.values()) == 200


@either
def test_a_deploy_replaces_the_pool_and_loses_nothing(library: str) -> None:
    rows = played(library, Warm(), Traffic(BURST, At(5.0, Deploy(every_s=1.0))))
    assert outcomes(rows) == {"ok": 200}
    assert rows.pool[-1]["size"] == 5
    assert rows.pool[-1]["connects"] == 10


def test_psycopg_pool_never_gives_up_a_check_on_a_frozen_connection() -> None:
    rows = played("psycopg_pool", on_suspend="freeze")
    assert outcomes(rows) == {"pool_timeout": 195, "client_timeout": 5}
    assert rows.pool[-1]["checked_out"] == 5
