"""Request shapes, jobs, disconnects and what happens in the middle of traffic, in virtual time."""

from typing import Any

import pytest

from harness.model.arrivals import RequestMix
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.server import ConnectCost
from harness.model.shape import Checkout, Commit, Parallel, Query, RequestShape, Upstream, Write
from harness.model.story import Story
from harness.model.timeline import At, Burst, ConnectionLoss, Deploy, Outage, TimelinePhase, Traffic, Warm
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.simulation.rows import Simulated
from harness.simulation.trial import simulate

READ = Checkout(Query())


def played(*timeline: TimelinePhase, pool: str = "2+0", **story: Any) -> Simulated:
    settings: dict[str, Any] = {"pool_timeout": "3", **story.pop("settings", {})}
    wake = profile("always-on")
    trial = Trial(
        number=0,
        story=Story(name="x", wake=wake, timeline=timeline, **story),
        pool=PoolConfiguration.from_short(pool).with_settings({name: str(value) for name, value in settings.items()}),
        wake=wake,
        seed=1,
    )
    return simulate(trial)


def at_once(shape: RequestShape, requests: int, **timing: Any) -> Burst:
    return Burst(requests, 0.0, "at_once", RequestMix.of({shape: 1}), **timing)


def latencies(simulated: Simulated) -> list[float]:
    return sorted(round(row["latency_s"], 6) for row in simulated.requests)


def test_a_step_outside_a_checkout_holds_no_connection_and_one_inside_does() -> None:
    holding = RequestShape("holding", Checkout(Query(), Upstream(1.0)))
    calling = RequestShape("calling", READ, Upstream(1.0))
    assert latencies(played(at_once(holding, 4))) == [1.0, 1.0, 2.0, 2.0]
    assert latencies(played(at_once(calling, 4))) == [1.0] * 4


def test_a_second_checkout_inside_the_first_is_a_deadlock_that_ends_with_the_queues_timeout() -> None:
    nested = RequestShape("nested", Checkout(Query(), READ))
    outcomes = [row["outcome"] for row in played(at_once(nested, 2)).requests]
    assert outcomes == ["pool_timeout"] * 2
    assert latencies(played(at_once(nested, 2))) == [3.0, 3.0]
    assert latencies(played(at_once(nested, 2), pool="2+1")) == [0.0, 0.0]
    assert latencies(played(at_once(RequestShape("after", READ, READ), 2))) == [0.0, 0.0]


def test_parallel_steps_have_a_connection_each_and_their_times_add_up() -> None:
    shape = RequestShape("parallel", Parallel(Checkout(Query(1.0)), Checkout(Query(2.0)), Upstream(0.5)))
    [row] = played(at_once(shape, 1)).requests
    assert row["latency_s"] == pytest.approx(2.0)
    assert row["query_s"] == pytest.approx(3.0)
    [row] = played(at_once(shape, 1), pool="1+0").requests
    assert row["latency_s"] == pytest.approx(3.0)
    assert row["checkout_s"] == pytest.approx(1.0)


def test_a_branch_that_fails_fails_the_request_and_gives_the_others_connections_back() -> None:
    shape = RequestShape("parallel", Parallel(Checkout(Query(9.0)), Checkout(Query(1.0), Upstream(1.0))))
    simulated = played(at_once(shape, 1), at_once(RequestShape("after", READ), 2), settings={"statement_timeout": 4})
    assert [row["outcome"] for row in simulated.requests] == ["statement_timeout", "ok", "ok"]
    assert simulated.pool[-1]["checked_out"] == 0


def test_the_queue_and_the_connection_of_every_checkout_are_counted() -> None:
    shape = RequestShape("several", Checkout(Query(1.0)), Upstream(5.0), Checkout(Query(0.5), Commit(), Write()))
    [row] = played(at_once(shape, 1)).requests
    assert row["latency_s"] == pytest.approx(6.5)
    assert row["query_s"] == pytest.approx(1.5)
    assert row["checkout_s"] == 0.0


def test_jobs_have_a_gate_and_a_pool_of_their_own() -> None:
    job = RequestShape("job", Checkout(Query(1.0)), Checkout(Query(1.0)), at_most=2, pool="5+0")
    assert latencies(played(at_once(job, 4))) == [2.0, 2.0, 4.0, 4.0]
    reading = RequestShape("reading", READ)
    both = Traffic(at_once(job, 4), At(0.5, at_once(reading, 3)))
    rows = played(both, pool="1+0").requests
    assert {row["latency_s"] for row in rows if row["request"] == "reading"} == {0.0}
    sharing = RequestShape("job", Checkout(Query(1.0)), at_most=2)
    assert latencies(played(at_once(sharing, 2), pool="1+0")) == [1.0, 2.0]


@pytest.mark.parametrize(("on_disconnect", "answered"), [("finish", [4.0]), ("cancel", [1.5])])
def test_a_disconnect_frees_the_connection_only_where_it_cancels(on_disconnect: str, answered: list[float]) -> None:
    slow, reading = RequestShape("slow", Checkout(Query(5.0))), RequestShape("reading", READ)
    rows = played(
        Traffic(at_once(slow, 1), At(1.0, at_once(reading, 1))),
        pool="1+0", client_timeout_s=2.5, on_disconnect=on_disconnect, settings={"pool_timeout": 9},
    ).requests  # fmt: skip
    outcomes = [row["outcome"] for row in rows]
    if on_disconnect == "finish":
        assert outcomes == ["client_timeout", "client_timeout"]
    else:
        assert outcomes == ["client_timeout", "ok"]
        assert [round(row["latency_s"], 3) for row in rows[1:]] == answered


def test_a_deploy_gives_every_instance_an_empty_pool_and_the_old_ones_close() -> None:
    reading = RequestShape("reading", READ)
    holding = RequestShape("holding", Checkout(Query(), Upstream(4.0)))
    simulated = played(
        Warm(2),
        Traffic(at_once(holding, 2), At(1.0, Deploy(every_s=1.0)), At(3.0, at_once(reading, 2))),
        instances=2,
    )
    assert {row["outcome"] for row in simulated.requests} == {Outcome.OK}
    replaced = [(row["at_s"], row["detail"]) for row in simulated.events if row["event"] == "pool_replaced"]
    assert replaced == [(1.0, '{"instance": 0}'), (2.0, '{"instance": 1}')]
    for instance in range(2):
        last = [row for row in simulated.pool if row["instance"] == instance][-1]
        assert (last["size"], last["checked_out"], last["connects"]) == (1, 0, 3)


def test_an_outage_ends_what_is_open_refuses_what_comes_and_is_over_by_itself() -> None:
    reading = RequestShape("reading", READ)
    each_second = Burst(10, 10.0, "even", RequestMix.of({reading: 1}))
    restarted = played(Warm(2), Traffic(each_second, At(2.5, Outage.restart(2.0))))
    assert [row["outcome"] for row in restarted.requests] == ["ok"] * 3 + ["connect_error"] * 2 + ["ok"] * 5
    assert [row["event"] for row in restarted.events][-3:] == ["outage", "woken", "burst_ended"]
    held = Outage(2.0, "close", "hold")  # type: ignore[arg-type]  # as a scenario's file says it
    assert latencies(played(Warm(2), Traffic(each_second, At(2.5, held))))[-2:] == [0.5, 1.5]


@pytest.mark.parametrize(("share", "died"), [(0.25, 1), (0.5, 2), (1.0, 4)])
@pytest.mark.parametrize("how", ["freeze", "reset"])
def test_a_share_of_the_connections_dies_beside_healthy_ones(share: float, died: int, how: str) -> None:
    loss = ConnectionLoss(share, how)  # type: ignore[arg-type]  # as a scenario's file says it
    four = at_once(RequestShape("reading", READ), 4)
    simulated = played(
        Warm(4), Traffic(four, At(1.0, loss), At(2.0, four)), pool="4+0", settings={"statement_timeout": 2}
    )
    later = [row["outcome"] for row in simulated.requests if row["arrival_s"] == 2.0]
    assert later.count("connection_lost") == (died if how == "freeze" else 0)
    assert simulated.pool[-1]["pings_failed"] == died
    assert "woken" not in {row["event"] for row in simulated.events}


def test_a_client_that_gives_up_while_connecting_takes_nobodys_turn() -> None:
    cost = ConnectCost(2.0, at_a_time=1)
    reading = at_once(RequestShape("reading", READ), 3)
    # The first is through after 2 s; the other two give up after 3 s, one in its turn and one before it.
    later = Traffic(reading, At(3.5, at_once(RequestShape("later", READ), 2)))
    simulated = played(later, pool="3+0", connect_cost=cost, settings={"connection_timeout": 3, "pool_timeout": 9})
    assert sorted((row["request"], row["outcome"], round(row["latency_s"], 6)) for row in simulated.requests) == [
        ("later", "ok", 0.0), ("later", "ok", 2.0),
        ("reading", "connect_timeout", 3.0), ("reading", "connect_timeout", 3.0), ("reading", "ok", 2.0),
    ]  # fmt: skip


def test_the_connects_and_failed_pings_are_counted() -> None:
    reading = RequestShape("reading", READ)
    each_second = Burst(10, 10.0, "even", RequestMix.of({reading: 1}))
    last = played(Warm(2), Traffic(each_second, At(2.5, Outage.restart(2.0)))).pool[-1]
    assert (last["connects"], last["connects_failed"], last["pings_failed"]) == (3, 2, 1)
