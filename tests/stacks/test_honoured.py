"""No field is ignored in silence: each is in the table of who honours it, and what it says there happens."""

from dataclasses import fields, replace
from typing import Any, get_args

import pytest

from harness.library import load_scenario
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.compute import OnSuspend
from harness.model.errors import UserError
from harness.model.kernel import LINUX_5, LINUX_6_5
from harness.model.listener import QueueListener
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import SETTINGS, PoolConfiguration
from harness.model.retry import Retry
from harness.model.scenario import Scenario, Variant
from harness.model.server import ConnectCost, IdleReaper, PgBouncer, ServerLimits
from harness.model.shape import RequestShape
from harness.model.timeline import At, Burst, ConnectionLoss, Outage, Suspend, TimelinePhase, Warm
from harness.model.times import Calibration
from harness.model.wake import WakeProfile, profile
from harness.stacks import honoured
from harness.stacks.base import RunOptions, Stack
from harness.stacks.choose import STACKS, choose
from harness.stacks.embedded import EmbeddedStack
from harness.stacks.honoured import FIELDS, IN_REAL_TIME, OPTIONS, PARTS, Treatment, unlike_the_scenario
from harness.stacks.simulated import SimulatedStack

SAID = (
    Scenario,
    WakeProfile,
    Overrides,
    PoolConfiguration,
    QueueListener,
    Retry,
    RequestMix,
    *get_args(TimelinePhase),
    At,
    RequestShape,
    ServerLimits,
    ConnectCost,
    IdleReaper,
    PgBouncer,
)
"""Everything that a scenario's file or a user can say."""
COLD_BURST = load_scenario("cold_burst")
MEASURED = Calibration(round_trip_s=(0.1,), service_s=(0.1,), connect_s=(0.1,), source="a test")


@pytest.mark.parametrize("kind", SAID, ids=lambda kind: kind.__name__)
def test_every_field_has_a_treatment_on_every_stack(kind: Any) -> None:
    assert set(FIELDS[kind]) == {field.name for field in fields(kind)}
    for treatments in FIELDS[kind].values():
        assert set(treatments) == set(STACKS)


def test_the_table_is_about_nothing_else() -> None:
    assert set(FIELDS) == set(SAID)


def test_every_field_that_is_told_or_refused_has_its_words() -> None:
    # A pooler is refused as a whole, so its own fields need no words; a pool is told as a whole, where it is a label.
    said = [table for kind, table in FIELDS.items() if kind not in (PgBouncer, PoolConfiguration)]
    every = [(name, how) for table in said for name, on in table.items() for how in on.values()]
    assert {name for name, how in every if how is Treatment.TOLD} == set(IN_REAL_TIME)
    assert {name for name, how in every if how is Treatment.REFUSED} == {*OPTIONS, *PARTS}


@pytest.mark.parametrize(
    ("overrides", "option"),
    [
        ({"service_time_s": 0.1}, "--service-time"),
        ({"service_time_s": 0.0}, "--service-time"),
        ({"connect_time_s": 0.1}, "--connect-time"),
        ({"calibration": MEASURED}, "--calibration"),
        ({"kernel": LINUX_5}, "--kernel"),
        ({"kernel": LINUX_6_5}, "--kernel"),
    ],
)
def test_what_a_user_asks_and_real_time_can_not_do_is_refused_by_name(overrides: dict[str, Any], option: str) -> None:
    plan = PlannedRun(scenario=COLD_BURST, overrides=Overrides(**overrides), real_time=True)
    with pytest.raises(UserError, match=f"stack embedded: {option} belongs to the simulated stack"):
        EmbeddedStack().check(plan, RunOptions())
    stack: Stack = SimulatedStack()
    stack.check(replace(plan, real_time=False), RunOptions())


def test_what_the_file_says_and_real_time_can_not_be_like_is_one_line() -> None:
    scenario = replace(
        COLD_BURST,
        wake=replace(profile("neon-outage"), addresses=3),
        service_time_s=0.01,
        variants=(Variant("as it is"), Variant("slow", connect_time_s=0.2)),
    )
    plan = PlannedRun(scenario=scenario, real_time=True)
    line = "in real time: service_time is PostgreSQL's own, connect_time is PostgreSQL's own, addresses: 1 of 3"
    assert unlike_the_scenario("embedded", plan) == unlike_the_scenario("compose", plan) == [line]
    assert unlike_the_scenario("simulated", replace(plan, real_time=False)) == []


def test_a_scenario_that_is_played_as_it_says_has_no_such_line() -> None:
    assert unlike_the_scenario("embedded", PlannedRun(scenario=COLD_BURST, real_time=True)) == []


def test_of_a_running_application_every_setting_of_the_pool_is_a_label_and_a_line_says_so() -> None:
    assert {FIELDS[PoolConfiguration][field]["target"] for field, _ in SETTINGS.values()} == {Treatment.TOLD}
    insert = ApplicationRequest(name="insert", target="/items", method="POST", body="{unique}")
    application = Application(target="http://127.0.0.1:8000", mix=RequestMix(((insert, 1.0),)))
    overrides = Overrides(pools=(PoolConfiguration.from_short("7+1"),), application=application)
    plan = PlannedRun(scenario=COLD_BURST, overrides=overrides, real_time=True)
    pool, warmed, data = unlike_the_scenario("target", plan)
    assert pool.startswith("the pool 7+1 is what you say it runs with: nothing was set")
    assert warmed == "warmed by requests, so many at once"
    assert data.startswith("its data stays from one trial to the next: {unique}")
    cold = replace(COLD_BURST, timeline=(Suspend(), Burst(1, 1)), expect={}, control=False)
    assert unlike_the_scenario("target", replace(plan, scenario=cold))[1] == (
        "not warmed: its pool has what trying its requests opened"
    )


@pytest.mark.parametrize(
    "scenario",
    [
        replace(COLD_BURST, pooler=PgBouncer(mode="transaction")),
        replace(COLD_BURST, variants=(Variant("without"), Variant("with", pooler=PgBouncer()))),
    ],
    ids=["in every story", "in one variant"],
)
def test_a_pooler_is_refused_by_name_in_virtual_time_with_the_stacks_that_have_it(scenario: Scenario) -> None:
    with pytest.raises(UserError, match="on stack simulated: a pooler") as refused:
        SimulatedStack().check(PlannedRun(scenario=scenario), RunOptions())
    assert refused.value.allowed == "--stack embedded, --stack compose"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"wake": (profile("neon", on_suspend="vanish"),)}, "on_suspend vanish"),
        ({"timeline": (Warm(), Outage(1, OnSuspend.VANISH), Burst(1, 1))}, "connections of an outage vanish"),
        ({"timeline": (Warm(), ConnectionLoss(0.5, OnSuspend.VANISH), Burst(1, 1))}, "how of a connection loss vanish"),
    ],
)
def test_nothing_vanishes_in_real_time_where_a_proxy_acknowledges(
    changes: dict[str, Any], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = replace(COLD_BURST, expect={}, real_time=None, **changes)
    plan = PlannedRun(scenario=scenario, real_time=True)
    # Where there is no Linux, neither stack can.
    for linux, refusing in (
        (True, [choose("compose")[0]]),
        (False, [choose("compose")[0], EmbeddedStack()]),
    ):
        monkeypatch.setattr(honoured, "can_silence", lambda linux=linux: linux)
        for stack in refusing:
            with pytest.raises(UserError, match=f"on stack {stack.name}: {what} can't be played here") as refused:
                stack.check(plan, RunOptions())
            assert ("--stack embedded" in str(refused.value.allowed)) is linux
    monkeypatch.setattr(honoured, "can_silence", lambda: True)
    EmbeddedStack().check(plan, RunOptions())
    SimulatedStack().check(PlannedRun(scenario=scenario), RunOptions())
