"""Trials in virtual time: the same in every process, and what the reference run found."""

import gc
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace

import pytest

from harness.library import load_scenario
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.distribution import Constant, LogNormal
from harness.model.plan import Overrides, PlannedRun
from harness.model.rows import PoolSample
from harness.model.scenario import Scenario, pool
from harness.model.timeline import Burst, Idle, Suspend, Warm
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import WakeProfile, profile
from harness.service.observation import PoolWatch
from harness.simulation.rows import Simulated
from harness.simulation.trial import simulate

DIGEST = """
import hashlib, json
from dataclasses import asdict
from harness.library import load_scenario
from harness.model.times import Times
from harness.simulation.trial import simulate
from harness.model.plan import Overrides, PlannedRun
from harness.model.distribution import LogNormal
times = Times(round_trip=LogNormal(0.001, 0.005, 0.1), service=LogNormal(0.002, 0.01, 1.0))
plan = PlannedRun(scenario=load_scenario("cold_burst"), overrides=Overrides(seed=7))
rows = [asdict(simulate(trial, times)) for trial in plan.trials[:4]]
print(hashlib.sha256(json.dumps(rows).encode()).hexdigest())
"""


def trial(
    pool_: str, wake: WakeProfile | None, *, seed: int = 1, requests: int = 200, over_s: float = 5, **settings: float
) -> Trial:
    scenario = Scenario(
        name="test",
        wake=wake or profile("neon"),
        pools=(pool(pool_, **settings),),
        timeline=(Warm(), Suspend(), Burst(requests=requests, over_s=over_s)),
    )
    return Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=wake, seed=seed)


def outcomes(rows: Simulated) -> Counter[str]:
    return Counter(row["outcome"] for row in rows.requests)


def neon(latency_s: float, **behaviour: str) -> WakeProfile:
    return profile("neon").with_changes(latency_s=latency_s, **behaviour)


def test_the_same_seed_gives_the_same_bytes_in_another_process_whatever_the_hash_seed() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "4294967295")
    }  # fmt: skip
    times = Times(round_trip=LogNormal(0.001, 0.005, 0.1), service=LogNormal(0.002, 0.01, 1.0))
    scenario = load_scenario("cold_burst")
    rows = [
        asdict(simulate(one, times)) for one in PlannedRun(scenario=scenario, overrides=Overrides(seed=7)).trials[:4]
    ]
    assert digests == {hashlib.sha256(json.dumps(rows).encode()).hexdigest() + "\n"}


@pytest.mark.parametrize(
    ("pool_", "timeout", "latency_s", "ok", "pool_timeout", "connect_timeout"),
    [("5+0", 5.0, 8.0, 76, 119, 5), ("10+5", 10.0, 8.0, 200, 0, 0), ("10+5", 10.0, 11.0, 174, 11, 15)],
)
def test_it_finds_what_the_real_stack_found(
    pool_: str, timeout: float, latency_s: float, ok: int, pool_timeout: int, connect_timeout: int
) -> None:
    # The table of the reference on client libraries, measured with other arrivals: about the same counts.
    found = outcomes(simulate(trial(pool_, neon(latency_s), pool_timeout=timeout, connection_timeout=timeout)))
    assert found["connect_timeout"] == connect_timeout
    assert found["ok"] == pytest.approx(ok, abs=12)
    assert found["pool_timeout"] == pytest.approx(pool_timeout, abs=12)
    assert sum(found.values()) == 200


def test_the_first_requests_of_a_wake_beyond_the_connect_timeout_are_lost() -> None:
    rows = simulate(trial("10+5", neon(11.0))).requests
    lost = sorted(row["number"] for row in rows if row["outcome"] == "connect_timeout")
    assert lost == list(range(15))
    assert all(row["connect_s"] == pytest.approx(10.0) for row in rows if row["number"] in lost)


@pytest.mark.parametrize("on_suspend", list(OnSuspend))
@pytest.mark.parametrize("while_waking", list(WhileWaking))
def test_every_way_to_sleep_can_be_played(on_suspend: OnSuspend, while_waking: WhileWaking) -> None:
    wake = neon(3.0, on_suspend=on_suspend.value, while_waking=while_waking.value)
    found = simulate(trial("5+0", wake, requests=60, over_s=6, statement_timeout=0.5))
    assert len(found.requests) == 60
    assert {"suspended", "first_attempt", "woken"} <= {row["event"] for row in found.events}
    last = max(found.requests, key=lambda row: row["arrival_s"])
    assert last["outcome"] == "ok"


def test_a_control_has_no_wake() -> None:
    found = simulate(trial("5+0", None))
    assert outcomes(found) == {"ok": 200}
    assert not {"suspended", "woken"} & {row["event"] for row in found.events}


def test_a_client_that_gives_up_leaves_its_request_in_the_service() -> None:
    one = trial("1+0", neon(8.0), requests=20, over_s=1)
    found = simulate(replace(one, story=replace(one.story, client_timeout_s=2.0)))
    assert outcomes(found) == {"client_timeout": 20}
    # Their places in the queue stay taken until the wake.
    assert max(row["waiting"] for row in found.pool if row["at_s"] > 2.5) == 19


def test_an_idle_compute_suspends_by_itself() -> None:
    scenario = Scenario(
        name="idle",
        wake=neon(2.0),
        pools=("2+0",),
        timeline=(Warm(), Idle(301), Burst(requests=5, over_s=1)),
    )
    one = Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=scenario.wakes[0], seed=1)
    found = simulate(one, sampled=False)
    events = {row["event"]: row["at_s"] for row in found.events}
    assert events["suspended"] == pytest.approx(-1.0)
    assert events["first_attempt"] == found.requests[0]["arrival_s"] == min(row["arrival_s"] for row in found.requests)


def test_service_time_and_connect_time_are_spent() -> None:
    slow = Times(service=Constant(0.1), connect=Constant(0.5))
    found = simulate(trial("1+0", None, requests=1, over_s=1), slow).requests[0]
    assert found["query_s"] == pytest.approx(0.1)
    scenario = Scenario(name="cold", wake=neon(1.0), pools=("1+0",), timeline=(Burst(requests=1, over_s=1),))
    cold = Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=None, seed=1)
    assert simulate(cold, slow).requests[0]["connect_s"] == pytest.approx(0.5, abs=0.01)


def two_bursts(between: tuple[Idle | Suspend, ...] = ()) -> Trial:
    burst = Burst(requests=30, over_s=3)
    scenario = Scenario(
        name="two", wake=neon(2.0), pools=("5+0",), timeline=(Warm(), Suspend(), burst, *between, burst)
    )
    return Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=scenario.wakes[0], seed=1)


def test_two_bursts_have_arrivals_of_their_own() -> None:
    trial_ = two_bursts()
    found = simulate(trial_, sampled=False)
    starts_s = [row["at_s"] for row in found.events if row["event"] == "burst_started"]
    arrivals_s = [
        [row["arrival_s"] - start_s for row in found.requests if row["number"] // 30 == number]
        for number, start_s in enumerate(starts_s)
    ]
    first, second = ([pytest.approx(at_s) for at_s in sorted(some)] for some in arrivals_s)
    assert first != second
    for number, (burst, some) in enumerate(zip(trial_.story.bursts, (first, second), strict=True)):
        # The same moments on every stack: they come from the seed and the burst's place alone.
        assert some == [arrival.at_s for arrival in burst.schedule(trial_.burst_seed(number))]


def test_every_wake_tells_when_it_released_its_first_and_its_last_connection() -> None:
    found = simulate(two_bursts((Suspend(),)), sampled=False)
    moments = [(row["event"], row["at_s"]) for row in found.events]
    wakes_s = [at_s for event, at_s in moments if event == "woken"]
    assert len(wakes_s) == 2
    for name in ("first_released", "last_released"):
        # Both within a moment of their own wake: neither wake takes the other's for its own.
        assert [at_s for event, at_s in moments if event == name] == [pytest.approx(at_s, abs=0.05) for at_s in wakes_s]


def test_recycled_connections_are_replaced_in_virtual_time() -> None:
    scenario = Scenario(
        name="recycle",
        wake=neon(1.0),
        pools=(pool("1+0", pool_recycle=60),),
        timeline=(Warm(), Burst(requests=2, over_s=200, arrivals="even")),
    )
    one = Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=None, seed=1)
    rows = simulate(one, Times(connect=Constant(0.25)), sampled=False).requests
    assert [row["connect_s"] > 0 for row in rows] == [False, True]


@pytest.mark.parametrize("name", ["connection_leak", "cold_burst"])
def test_connections_that_are_never_returned_are_collected_in_silence_once_the_loop_has_ended(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy's finalizer checks them in; it calls what watches the pool, which asked the loop for the time."""
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    first = PlannedRun(scenario=load_scenario(name), overrides=Overrides()).trials[0]
    pool_ = first.pool.with_settings({"pool_timeout": "9000", "connection_timeout": "0", "statement_timeout": "0"})
    rows = simulate(replace(first, pool=pool_, story=replace(first.story, client_timeout_s=1.0)))
    assert outcomes(rows)["client_timeout"]
    del rows
    gc.collect()
    assert said == []


@pytest.mark.parametrize("use_lifo", [True, False])
def test_a_pool_gives_out_the_connections_of_a_warm_phase_in_the_order_of_their_ages(use_lifo: bool) -> None:
    scenario = Scenario(
        name="test",
        wake=profile("always-on"),
        pools=(pool("3+0", pool_recycle=7200, use_lifo=use_lifo),),
        timeline=(Warm(ages_s=(60, 7150, 60)), Idle(100), Burst.at(0.0, 0.1, 0.2)),
    )
    story = Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=None, seed=1)
    rows = simulate(story, Times(service=Constant(1.0), connect=Constant(0.5)))
    assert [row["connect_s"] for row in rows.requests] == pytest.approx([0, 0, 0.5])
    assert [row["number"] for row in rows.requests] == [0, 2, 1]
    warmed = next(row for row in rows.events if row["event"] == "warmed")
    assert warmed["at_s"] == pytest.approx(-100, abs=0.01)


@pytest.mark.parametrize("scenario", ["rolling_deploy", "stale_after_suspend", "recycle", "connection_leak"])
def test_a_still_pool_is_sampled_as_if_it_were_counted_each_time(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = PlannedRun(scenario=load_scenario(scenario)).trials[0]
    several = replace(played, story=replace(played.story, instances=3))
    was_still: list[bool] = []
    is_still = PoolWatch.is_still

    def noting(watch: PoolWatch, sample: PoolSample) -> bool:
        was_still.append(is_still(watch, sample))
        return was_still[-1]

    monkeypatch.setattr(PoolWatch, "is_still", noting)
    rows = simulate(several)
    monkeypatch.setattr(PoolWatch, "is_still", lambda _watch, _sample: False)
    assert simulate(several) == rows
    assert any(was_still)
    assert len(was_still) < len(rows.pool)


@pytest.mark.parametrize("scenario", ["cold_burst", "connection_died", "failover", "client_disconnects"])
def test_a_way_that_takes_no_time_is_gone_as_one_that_is_drawn_and_takes_none(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = PlannedRun(scenario=load_scenario(scenario)).trials[-1]
    rows = simulate(played)
    monkeypatch.setattr(Times, "way", lambda _times, _seed: lambda: 0.0)
    assert simulate(played) == rows
