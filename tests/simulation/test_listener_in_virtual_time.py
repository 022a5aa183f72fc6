"""The queue listener in virtual time: its limits, its backoff, and the night of 2025-12-02 in the order of events."""

import asyncio
import json

import asyncpg
import pytest

from harness.listener import QueueListener
from harness.scenario import Burst, Idle, Scenario, Suspend, Warm
from harness.service.queue_listener import ListenerAtWork
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network
from harness.simulation.trial import URL, simulate
from harness.trial import trials_of
from harness.wake import profile


def events(
    listener: QueueListener, *, wake_s: float, while_waking: str = "hold", after_s: float = 400.0
) -> list[tuple[str, float, float | None]]:
    """What the listener says from the suspend on: the event, its moment counted from the suspend, its duration."""
    scenario = Scenario(
        name="listening",
        wake=profile("neon", latency_s=wake_s, on_suspend="freeze", while_waking=while_waking),
        pools=("1+0",),
        timeline=(Warm(0), Suspend(), Idle(after_s), Burst(requests=1, over_s=1, arrivals="even")),
        listener=listener,
    )
    rows = simulate(trials_of(scenario, seed=1, control=False)[0]).events
    suspended = next(row for row in rows if row["event"] == "suspended")
    return [
        (row["event"].removeprefix("listener_"), round(row["at_s"] - suspended["at_s"], 3), row["value_s"])
        for row in rows[rows.index(suspended) :]
        if row["event"].startswith("listener_") and row["at_s"] <= suspended["at_s"] + after_s
    ]


def test_a_heartbeat_on_a_dead_connection_fails_after_its_limit_and_the_connection_is_dropped() -> None:
    said = events(QueueListener(), wake_s=60.0)
    assert said[:3] == [("heartbeat_failed", 10.0, None), ("disconnected", 10.0, None), ("reconnecting", 10.0, 5.0)]


def test_attempts_end_with_their_timeout_and_the_waits_double_up_to_the_longest() -> None:
    said = events(QueueListener(), wake_s=390.0, while_waking="drop")
    assert [value_s for name, _, value_s in said if name == "connect_failed"] == [15.0] * 7
    assert [value_s for name, _, value_s in said if name == "reconnecting"] == [
        5.0,
        10.0,
        20.0,
        40.0,
        60.0,
        60.0,
        60.0,
        60.0,
    ]


def test_without_a_timeout_one_attempt_hangs_until_the_wake() -> None:
    said = events(QueueListener(connect_timeout_s=0), wake_s=300.0)
    assert [name for name, _, _ in said[3:4]] == ["connected"]
    # The wake began at 10 s: to cancel the heartbeat, asyncpg asks for a connection of its own.
    assert said[3][1:] == (pytest.approx(310.0), pytest.approx(295.0))


def test_a_notification_of_another_session_is_heard() -> None:
    async def story(_server: SimulatedPostgres) -> list[str]:
        at_work = ListenerAtWork(URL, QueueListener(), said=lambda *_, **__: None)
        running = asyncio.ensure_future(at_work.run())
        await at_work.connected.wait()
        other = await asyncpg.connect(host="localhost", user="coldstart", database="catalogue", ssl=False)
        await other.execute("NOTIFY queue, 'play 7'")
        await asyncio.sleep(0.01)
        running.cancel()
        other.terminate()
        await asyncio.sleep(0)
        return at_work.heard

    async def main(loop: VirtualLoop) -> list[str]:
        server = SimulatedPostgres(loop=loop)
        Network(loop).listen("localhost", 5432, server)
        return await story(server)

    assert run(main) == ["play 7"]


def test_details_are_json() -> None:
    scenario = Scenario(
        name="listening", pools=("1+0",),
        wake=profile("neon", latency_s=30.0, on_suspend="freeze", while_waking="drop"),
        timeline=(Warm(0), Suspend(), Idle(60), Burst(requests=1, over_s=1, arrivals="even")), listener=QueueListener(),
    )  # fmt: skip
    rows = simulate(trials_of(scenario, seed=1, control=False)[0]).events
    (failed,) = [row for row in rows if row["event"] == "listener_connect_failed"]
    assert json.loads(failed["detail"]) == {"attempt": 1, "error": "TimeoutError"}
