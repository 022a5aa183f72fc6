"""The queue listener in virtual time: the service's own, on the unmodified asyncpg and a compute that sleeps."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from harness.model.distribution import Constant
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.kernel import LINUX_6_5
from harness.model.rows import ListenerEvent
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import WakeProfile, profile
from harness.scenario import Burst, Idle, QueueListener, Scenario, Suspend, Warm
from harness.service.listener import listening
from harness.simulation.backend import SimulatedPostgres, constant
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network
from harness.simulation.trial import Simulated, simulate

URL = "postgresql+asyncpg://coldstart@localhost:5432/catalogue"
WAKES_AT_LAST_S = 100_000.0

Story = Callable[[SimulatedPostgres], Awaitable[Any]]


def heard(
    story: Story, *, wake_s: float = WAKES_AT_LAST_S, settings: QueueListener | None = None, **behaviour: str
) -> list[ListenerEvent]:
    """What a listener says while a story is played on a fresh backend, from the moment at which it is connected."""
    events: list[ListenerEvent] = []

    async def main(loop: VirtualLoop) -> None:
        wake = profile("neon").with_changes(**behaviour).behaviour(suspends_by_itself=False)
        server = SimulatedPostgres(loop=loop, behaviour=wake, draw_wake_latency_s=constant(wake_s))
        Network(loop).listen("localhost", 5432, server)
        async with listening(settings or QueueListener(), URL, events.append):
            await asyncio.sleep(1)
            await story(server)
        await asyncio.sleep(0)
        assert server.sessions == []
        assert asyncio.all_tasks(loop) == {asyncio.current_task()}

    run(main)
    assert events[0] == ListenerEvent(event=Event.LISTENER_CONNECTED, at_s=0.0, value_s=0.0, detail={"attempt": 1})
    return events[1:]


def suspended_for(seconds: float) -> Story:
    async def story(server: SimulatedPostgres) -> None:
        server.suspend()
        await asyncio.sleep(seconds)

    return story


def told(events: list[ListenerEvent]) -> list[tuple[float, str, float | None]]:
    return [(event.at_s, event.event.removeprefix("listener_"), event.value_s) for event in events]


def test_the_night_of_2025_12_02_is_played_to_the_second() -> None:
    # Counted from 01:55:19, when the first attempt began; the listener was connected again at 02:00:04. It had asked
    # until 01:59:04 and then waited for 60 s: any wake in between gives the same times.
    def clock(at_s: float) -> str:
        second = 1 * 3600 + 55 * 60 + 19 + round(at_s - 10)
        return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"

    events = heard(suspended_for(400), wake_s=248.0, on_suspend="freeze", while_waking="drop")
    assert [(event.event.removeprefix("listener_"), clock(event.at_s)) for event in events] == [
        ("heartbeat_failed", "01:55:19"), ("disconnected", "01:55:19"), ("reconnecting", "01:55:19"),
        ("connect_failed", "01:55:34"), ("reconnecting", "01:55:34"),
        ("connect_failed", "01:55:54"), ("reconnecting", "01:55:54"),
        ("connect_failed", "01:56:19"), ("reconnecting", "01:56:19"),
        ("connect_failed", "01:56:54"), ("reconnecting", "01:56:54"),
        ("connect_failed", "01:57:49"), ("reconnecting", "01:57:49"),
        ("connect_failed", "01:59:04"), ("reconnecting", "01:59:04"),
        ("connected", "02:00:04"),
    ]  # fmt: skip
    failed = [event for event in events if event.event == "listener_connect_failed"]
    assert [event.value_s for event in failed] == [15.0] * 6
    assert [event.detail for event in failed] == [{"attempt": n, "error": "TimeoutError"} for n in range(1, 7)]
    assert [event.value_s for event in events if event.event == "listener_reconnecting"] == [0, 5, 10, 20, 40, 60, 60]


def test_a_heartbeat_that_is_not_answered_ends_at_its_limit_and_its_connection_with_it() -> None:
    settings = QueueListener(heartbeat_every_s=4, heartbeat_limit_s=3)
    events = heard(suspended_for(6.5), settings=settings, on_suspend="freeze")
    assert told(events) == [(7.0, "heartbeat_failed", 3.0), (7.0, "disconnected", None), (7.0, "reconnecting", 0.0)]
    assert events[0].detail == {"error": "TimeoutError"}


@pytest.mark.parametrize("on_suspend", ["close", "terminate", "reset"])
def test_a_connection_that_was_closed_is_missed_at_the_next_heartbeat_and_its_owner_starts_the_wake(
    on_suspend: str,
) -> None:
    events = heard(suspended_for(20), wake_s=8.0, on_suspend=on_suspend)
    assert told(events) == [
        (5.0, "heartbeat_failed", 0.0), (5.0, "disconnected", None), (5.0, "reconnecting", 0.0),
        (13.0, "connected", 8.0),
    ]  # fmt: skip
    assert events[0].detail == {"error": "InterfaceError"}


def test_on_a_kept_connection_a_heartbeat_waits_for_the_wake() -> None:
    assert heard(suspended_for(30), wake_s=4.9, on_suspend="keep") == []
    too_slow = heard(suspended_for(30), wake_s=5.1, on_suspend="keep")
    assert [event[1] for event in told(too_slow)] == ["heartbeat_failed", "disconnected", "reconnecting", "connected"]


def test_a_held_attempt_ends_at_the_connect_timeout() -> None:
    events = heard(suspended_for(25), on_suspend="close", while_waking="hold")
    assert told(events)[-2:] == [(20.0, "connect_failed", 15.0), (20.0, "reconnecting", 5.0)]


def test_without_a_connect_timeout_a_held_attempt_hangs_until_the_wake_however_late_it_is() -> None:
    events = heard(
        suspended_for(WAKES_AT_LAST_S + 10), settings=QueueListener(connect_timeout_s=0), on_suspend="close",
        while_waking="hold",
    )  # fmt: skip
    # asyncpg's own default would have ended it after 60 s.
    assert told(events)[-1] == (5.0 + WAKES_AT_LAST_S, "connected", WAKES_AT_LAST_S)


def test_without_a_connect_timeout_a_dropped_attempt_ends_when_the_kernel_gives_up() -> None:
    events = heard(
        suspended_for(200), settings=QueueListener(connect_timeout_s=0), on_suspend="close", while_waking="drop"
    )
    given_up_s = LINUX_6_5.request(5.0).gives_up_s
    assert told(events)[3:5] == [
        (given_up_s, "connect_failed", given_up_s - 5.0),
        (given_up_s, "reconnecting", 5.0),
    ]


def test_the_backoff_begins_anew_after_a_success() -> None:
    async def story(server: SimulatedPostgres) -> None:
        for _ in range(2):
            server.suspend()
            await asyncio.sleep(100)

    events = heard(story, wake_s=18.0, on_suspend="close", while_waking="refuse")
    waits = [event.value_s for event in events if event.event == "listener_reconnecting"]
    assert waits == [0, 5, 10, 20] * 2


def test_a_notification_from_another_connection_is_heard() -> None:
    async def story(_: SimulatedPostgres) -> None:
        speaker = await asyncpg.connect(host="localhost", user="coldstart", database="catalogue", ssl=False)
        await speaker.execute("NOTIFY queue, 'a play'")
        await speaker.execute("NOTIFY elsewhere, 'nothing'")
        await asyncio.sleep(1)
        await speaker.close()

    (event,) = heard(story)
    assert (event.at_s, event.event, event.detail) == (1.0, "listener_notified", {"payload": "a play"})


def test_a_listener_that_is_a_bug_ends_what_it_runs_beside_with_its_own_error() -> None:
    def said(event: ListenerEvent) -> None:
        raise RuntimeError(event.event)

    async def main(loop: VirtualLoop) -> None:
        Network(loop).listen("localhost", 5432, SimulatedPostgres(loop=loop))
        async with listening(QueueListener(), URL, said):
            await asyncio.sleep(1000)

    with pytest.raises(RuntimeError, match="listener_connected"):
        run(main)


# Within a trial:


def trial(listener: QueueListener | None, wake: WakeProfile | None, *timeline: Any) -> Trial:
    scenario = Scenario(
        name="listening", wake=wake or profile("neon"), pools=("2+1",), timeline=timeline, listener=listener
    )
    return Trial(number=0, story=scenario, pool=scenario.pool_configurations[0], wake=wake, seed=1)


def of_listener(found: Simulated) -> list[tuple[str, float]]:
    return [(row["event"], round(row["at_s"], 6)) for row in found.events if row["event"].startswith("listener")]


def test_its_events_are_in_the_bursts_time_and_their_detail_is_json() -> None:
    wake = profile("neon", latency_s=3.0)
    found = simulate(trial(QueueListener(), wake, Warm(), Suspend(), Idle(6), Burst(requests=20, over_s=5)))
    assert of_listener(found) == [
        ("listener_connected", -6), ("listener_heartbeat_failed", -1), ("listener_disconnected", -1),
        ("listener_reconnecting", -1), ("listener_connected", 2),
    ]  # fmt: skip
    assert json.loads(found.events[0]["detail"]) == {"attempt": 1}
    assert [row["event"] for row in found.events][:3] == ["listener_connected", "warmed", "suspended"]
    # It asked before any visitor did.
    assert {row["event"]: row["at_s"] for row in found.events}["first_attempt"] == -1


def test_the_pool_and_its_timeline_know_nothing_of_it() -> None:
    timeline = (Warm(), Burst(requests=50, over_s=30))
    without, beside = (simulate(trial(one, None, *timeline)) for one in (None, QueueListener()))
    assert beside.pool == without.pool
    assert beside.requests == without.requests


def test_its_heartbeats_keep_a_compute_awake_and_a_command_suspends_it_all_the_same() -> None:
    wake = profile("neon", latency_s=2.0)
    asks = Burst(requests=3, over_s=1)
    alone, kept = (simulate(trial(one, wake, Warm(), Idle(400), asks)) for one in (None, QueueListener()))
    assert "suspended" in {row["event"] for row in alone.events}
    assert "suspended" not in {row["event"] for row in kept.events}
    commanded = simulate(trial(QueueListener(), wake, Warm(), Idle(400), Suspend(), asks))
    assert {"suspended", "woken"} <= {row["event"] for row in commanded.events}


def test_one_that_can_never_connect_is_refused_in_a_line() -> None:
    one = trial(QueueListener(connect_timeout_s=2), None, Warm(), Burst(requests=1, over_s=1))
    with pytest.raises(UserError, match="first attempt to connect failed: TimeoutError after 2 s"):
        simulate(one, Times(connect=Constant(3.0)))
    assert of_listener(simulate(one, Times(connect=Constant(1.0))))[0][0] == "listener_connected"
