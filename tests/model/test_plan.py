"""A plan: the scenario as its file says it, what a user changed, and who wins."""

from typing import Any

import pytest

from harness.library import load_scenario
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import Pattern, RequestMix
from harness.model.compute import OnSuspend
from harness.model.distribution import Constant, Empirical
from harness.model.errors import UserError
from harness.model.kernel import LINUX_5, LINUX_6_5
from harness.model.listener import QueueListener
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import RealTime, Scenario, Variant, pool
from harness.model.story import OnDisconnect, Story
from harness.model.timeline import At, Burst, Suspend, Traffic, Warm
from harness.model.times import Calibration
from harness.model.wake import profile, read_wake
from harness.scenario import none

BURST = Burst(requests=20, over_s=2)
MEASURED = Calibration(round_trip_s=(0.001,), service_s=(0.002,), connect_s=(0.003,), source="a test")


def scenario(**changes: Any) -> Scenario:
    settings: dict[str, Any] = {
        "name": "test", "wake": profile("neon", latency_s=2.0), "pools": ("5+0",), "timeline": (Suspend(), BURST),
    }  # fmt: skip
    return Scenario(**{**settings, **changes})


def planned(of: Scenario, *, real_time: bool = False, **overrides: Any) -> PlannedRun:
    return PlannedRun(scenario=of, overrides=Overrides(**overrides), real_time=real_time)


def test_what_a_user_changes_holds_in_every_variant() -> None:
    longer = Variant("longer", timeline=(Warm(), Suspend(), Burst(requests=90, over_s=9)))
    plan = planned(scenario(variants=(Variant("short"), longer)), requests=7, warm=1)
    assert {name: story.bursts[0].requests for name, story in plan.stories.items()} == {"short": 7, "longer": 7}
    assert all(Warm(1) in story.timeline for story in plan.stories.values())
    assert [trial.variant for trial in plan.trials if not trial.is_control] == ["short", "longer"]


def test_a_burst_at_named_moments_comes_as_a_poisson_process_when_its_numbers_change() -> None:
    plan = planned(scenario(timeline=(Burst.at(0.0, 1.0),)), requests=7)
    assert plan.stories[""].bursts == (Burst(requests=7, over_s=1.0, arrivals=Pattern.POISSON),)


@pytest.mark.parametrize(
    ("of_the_story", "of_the_variant", "overrides", "service"),
    [
        (None, None, {}, Constant(0.0)),
        (0.1, None, {}, Constant(0.1)),
        (0.1, 0.2, {}, Constant(0.2)),
        (0.1, 0.2, {"calibration": MEASURED}, Empirical((0.002,))),
        (0.1, 0.2, {"service_time_s": 0.3}, Constant(0.3)),
        (0.1, 0.2, {"service_time_s": 0.0, "calibration": MEASURED}, Constant(0.0)),
        (None, None, {"connect_time_s": 0.5, "calibration": MEASURED}, Empirical((0.002,))),
    ],
)
def test_a_given_time_wins_over_a_measured_one_and_that_over_the_variants_and_the_storys(
    of_the_story: float | None, of_the_variant: float | None, overrides: dict[str, Any], service: object
) -> None:
    changes = {} if of_the_variant is None else {"service_time_s": of_the_variant}
    plan = planned(scenario(service_time_s=of_the_story, variants=(Variant("v", **changes),)), **overrides)
    assert plan.times(plan.stories["v"]).service == service


def test_a_wake_keeps_what_the_choice_leaves_out() -> None:
    frozen = profile("neon", latency_s=2.0, on_suspend="freeze")
    plan = planned(scenario(wake=frozen), wakes=(read_wake("9"), read_wake("xata:3"), read_wake("xata")))
    assert plan.wakes == (frozen.with_changes(latency_s=9.0), profile("xata", latency_s=3.0), profile("xata"))
    assert {wake.on_suspend for wake in planned(scenario(), on_suspend=OnSuspend.KEEP).wakes} == {OnSuspend.KEEP}


def test_settings_are_of_every_pool_and_a_pool_is_played_once() -> None:
    plan = planned(scenario(pools=("5+0", pool("5+0", pool_timeout=10), "7+0")), settings={"max_overflow": "1"})
    assert [pool.short for pool in plan.pools] == ["5+1", "7+1"]


def test_a_shortened_story_is_played_where_time_is_real_and_a_wake_is_read_beside_its_own() -> None:
    slow = profile("neon", latency_s=2.0, on_suspend="freeze")
    of = scenario(real_time=RealTime("the wake is short", wake=slow, timeline=(BURST,)))
    plan = planned(of, real_time=True, wakes=(read_wake("1"),))
    assert plan.shortened == "the wake is short"
    assert plan.stories[""].timeline == (BURST,)
    assert plan.wakes == (slow.with_changes(latency_s=1.0),)
    assert planned(of).shortened == ""
    assert planned(of).stories[""].timeline == of.timeline


def test_a_trial_is_data_alone() -> None:
    for trial in PlannedRun(scenario=load_scenario("retry_storm")).trials:
        assert type(trial.story) is Story


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ({}, ()),
        ({"seed": 7, "repeat": 3, "control": False}, ()),
        ({"requests": 20, "over_s": 2.0, "arrivals": Pattern.POISSON}, ()),
        ({"wakes": (read_wake("2"),), "pools": (PoolConfiguration.from_short("5+0"),)}, ()),
        ({"pools": (pool("5+0", pool_timeout=10),)}, ()),
        ({"settings": {"pool_timeout": "10"}, "on_suspend": OnSuspend.TERMINATE}, ()),
        ({"requests": 7, "over_s": 3.0, "warm": 0}, ("requests=7", "over=3", "warm=0")),
        ({"wakes": (read_wake("1"), read_wake("2"))}, ("wake=1",)),
        ({"wakes": (read_wake("xata:2"),)}, ("wake=xata:2",)),
        ({"on_suspend": OnSuspend.FREEZE}, ("on_suspend=freeze",)),
        ({"settings": {"pool_timeout": "5"}}, ("pool_timeout=5",)),
        ({"service_time_s": 0.1, "connect_time_s": 0.2}, ("service_time=0.1", "connect_time=0.2")),
        ({"calibration": MEASURED}, ("calibration=a test",)),
        ({"kernel": LINUX_5}, ("kernel=linux-5",)),
        ({"kernel": LINUX_6_5}, ()),
        ({"alert_sustained_s": 5.0}, ("alert_after=5",)),
        ({"pools": (pool("7+3"), pool("5+0"))}, ("pool=7+3",)),
        ({"pools": tuple(pool(f"{size}+0") for size in (1, 2, 3, 4, 5))}, ("4 pools of its own",)),
    ],
    ids=str,
)
def test_what_differs_from_the_file_is_told_and_what_does_not_is_not(
    overrides: dict[str, Any], changes: tuple[str, ...]
) -> None:
    assert planned(scenario(), **overrides).changes == changes


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"service_time_s": -1.0}, "--service-time must be 0 or positive, got -1"),
        ({"connect_time_s": float("inf")}, "--connect-time must be at most 2147483, got inf"),
        ({"alert_sustained_s": float("nan")}, "--alert-after must be a number, got nan"),
        ({"settings": {"colour": "red"}}, "no setting 'colour'"),
    ],
)
def test_a_change_that_can_not_be_meant_is_refused(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Overrides(**overrides)


READ_ITEM = ApplicationRequest(name="read_item", target="/items/{key}")
ADD_ORDER = ApplicationRequest(name="add_order", method="POST", target="/orders")
OWN_MIX = RequestMix(((READ_ITEM, 3.0), (ADD_ORDER, 1.0)))
SHOP = Application(app="shop.main:app", mix=OWN_MIX)


def asked_for(story: Story) -> set[str]:
    return {arrival.request.value for burst in story.bursts for arrival in burst.schedule(seed=1)}


def test_an_applications_requests_come_in_place_of_the_files_own_in_every_burst_of_every_variant() -> None:
    timeline = (Suspend(), BURST, Traffic(Burst.rate(2, for_s=9), At(3.0, Burst(requests=9, over_s=3))))
    plan = planned(
        scenario(timeline=timeline, variants=(Variant("a"), Variant("b", timeline=(BURST,)))), application=SHOP
    )
    assert [len(story.bursts) for story in plan.stories.values()] == [3, 1]
    for story in plan.stories.values():
        assert all(burst.mix == OWN_MIX for burst in story.bursts)
        assert asked_for(story) == {"read_item", "add_order"}


def test_requests_that_the_file_names_one_by_one_keep_their_moments_and_become_the_applications() -> None:
    named = Burst.at(0.0, 0.5, 2.0, requests=("read_track", "write_play", "read_track"))
    (burst,) = planned(scenario(timeline=(named,)), application=SHOP).stories[""].bursts
    assert (burst.given_s, burst.given_requests, burst.mix) == ((0.0, 0.5, 2.0), (), OWN_MIX)
    assert asked_for(planned(scenario(timeline=(named,)), application=SHOP).stories[""]) <= {"read_item", "add_order"}


def test_what_the_service_does_beside_its_requests_is_left_out_with_an_application() -> None:
    of = scenario(listener=QueueListener(), on_disconnect=OnDisconnect.CANCEL)
    story = planned(of, application=SHOP).stories[""]
    assert (story.listener, story.on_disconnect) == (None, OnDisconnect.FINISH)
    assert planned(of).stories[""].listener == QueueListener()


def test_an_application_is_a_change_and_what_the_file_expects_is_not_judged() -> None:
    of = scenario(expect={"5+0": none("failure")})
    plan = planned(of, application=SHOP)
    assert plan.changes == ("application=shop.main:app",)
    assert not any(plan.is_the_files_own(trial) for trial in plan.trials)
    assert planned(of).changes == ()
    assert planned(of, application=SHOP, requests=7).changes == ("requests=7", "application=shop.main:app")
