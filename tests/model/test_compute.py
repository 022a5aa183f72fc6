"""The compute: its state machine, by examples and under hypothesis."""

import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from harness.model.compute import (
    ADMIN_SHUTDOWN,
    Admit,
    Behaviour,
    Close,
    Compute,
    Drop,
    Effect,
    ErrorResponse,
    Fail,
    Freeze,
    Hold,
    OnSuspend,
    Pause,
    Refuse,
    Release,
    State,
    Suspended,
    Vanish,
    Waking,
    WhileWaking,
    Woken,
)  # fmt: skip
from harness.model.errors import UserError


def asleep(
    *, wake_s: float = 8.0, on_suspend: OnSuspend = OnSuspend.CLOSE, while_waking: WhileWaking = WhileWaking.HOLD
) -> Compute:
    compute = Compute(Behaviour(on_suspend=on_suspend, while_waking=while_waking), lambda: wake_s, now_s=0.0)
    compute.suspend(0.0)
    return compute


def test_the_first_attempt_starts_the_wake_and_everything_held_is_released_together() -> None:
    compute = asleep()
    assert compute.connection_attempt(1.0, "a") == [Waking(1.0, 9.0), Hold("a")]
    assert compute.connection_attempt(2.0, "b") == [Hold("b")]
    assert compute.next_tick_s == 9.0
    assert compute.tick(8.9) == []
    assert compute.tick(9.1) == [Woken(9.1, 9.0), Release("a"), Release("b")]
    assert compute.connection_attempt(10.0, "c") == [Admit("c")]


def test_a_client_that_left_is_not_released() -> None:
    compute = asleep()
    compute.connection_attempt(1.0, "a")
    compute.connection_attempt(1.0, "b")
    compute.connection_closed(2.0, "a")
    assert compute.tick(9.0) == [Woken(9.0, 9.0), Release("b")]


@pytest.mark.parametrize(
    ("while_waking", "expected"),
    [(WhileWaking.HOLD, Hold("a")), (WhileWaking.DROP, Drop("a")), (WhileWaking.REFUSE, Refuse("a")),
     (WhileWaking.ERROR, Fail("a", Behaviour().error))],
)  # fmt: skip
def test_a_connection_attempt_meets_what_the_behaviour_says(while_waking: WhileWaking, expected: Effect) -> None:
    assert asleep(while_waking=while_waking).connection_attempt(1.0, "a")[-1] == expected


@pytest.mark.parametrize(
    ("on_suspend", "expected"),
    [(OnSuspend.CLOSE, Close("a")), (OnSuspend.TERMINATE, Close("a", error=ADMIN_SHUTDOWN)),
     (OnSuspend.RESET, Close("a", reset=True)), (OnSuspend.FREEZE, Freeze("a")),
     (OnSuspend.VANISH, Vanish("a", returns=True)), (OnSuspend.KEEP, Pause("a"))],
)  # fmt: skip
def test_an_open_connection_meets_what_the_behaviour_says(on_suspend: OnSuspend, expected: Effect) -> None:
    compute = Compute(Behaviour(on_suspend=on_suspend), lambda: 8.0, now_s=0.0)
    compute.connection_attempt(1.0, "a")
    assert compute.suspend(2.0) == [Suspended(2.0), expected]


def test_a_kept_connection_starts_the_wake_when_its_client_speaks_and_goes_on_after_it() -> None:
    compute = Compute(Behaviour(on_suspend=OnSuspend.KEEP), lambda: 8.0, now_s=0.0)
    compute.connection_attempt(0.0, "a")
    compute.suspend(1.0)
    assert compute.client_bytes(2.0, "a") == [Waking(2.0, 10.0)]
    assert compute.tick(10.0) == [Woken(10.0, 10.0), Release("a")]


def test_a_command_wakes_it_with_its_latency_and_only_while_it_is_suspended() -> None:
    compute = asleep()
    assert compute.wake(1.0) == [Waking(1.0, 9.0)]
    assert compute.connection_attempt(2.0, "a") == [Hold("a")]
    assert compute.wake(3.0) == []
    assert compute.tick(9.0) == [Woken(9.0, 9.0), Release("a")]
    assert compute.wake(10.0) == []
    assert compute.state is State.ACTIVE


def test_a_wake_on_command_that_nobody_uses_ends_in_a_suspend_after_the_idle_time() -> None:
    compute = Compute(Behaviour(suspend_after_s=10.0), lambda: 8.0, now_s=0.0)
    compute.suspend(0.0)
    compute.wake(1.0)
    compute.tick(9.0)
    assert compute.next_tick_s == 19.0
    assert compute.tick(19.0) == [Suspended(19.0)]


def test_a_frozen_connection_stays_dead_and_wakes_nobody() -> None:
    compute = Compute(Behaviour(on_suspend=OnSuspend.FREEZE), lambda: 8.0, now_s=0.0)
    compute.connection_attempt(0.0, "a")
    compute.suspend(1.0)
    assert compute.client_bytes(2.0, "a") == []
    assert compute.state is State.SUSPENDED


def test_it_suspends_after_its_idle_time_and_an_open_idle_connection_is_no_activity() -> None:
    compute = Compute(Behaviour(suspend_after_s=300.0), lambda: 8.0, now_s=0.0)
    compute.connection_attempt(10.0, "a")
    compute.client_bytes(20.0, "a")
    assert compute.next_tick_s is None, "a statement is running"
    compute.server_bytes(30.0, "a", idle=False)
    assert compute.next_tick_s is None, "idle in transaction counts as activity"
    compute.server_bytes(40.0, "a")
    assert compute.next_tick_s == 340.0
    assert compute.tick(340.0)[0] == Suspended(340.0)


def test_a_connection_that_was_held_keeps_the_compute_awake_until_it_is_answered() -> None:
    compute = Compute(Behaviour(suspend_after_s=10.0), lambda: 8.0, now_s=0.0)
    compute.suspend(0.0)
    compute.connection_attempt(1.0, "a")
    compute.tick(9.0)
    # It was released with a startup message under way: its session is being set up, which is activity.
    assert compute.next_tick_s is None
    compute.server_bytes(9.5, "a")
    assert compute.next_tick_s == 19.5


def test_open_connections_prevent_the_suspend_where_the_profile_says_so() -> None:
    compute = Compute(Behaviour(suspend_after_s=300.0, open_connections_prevent_suspend=True), lambda: 8.0, now_s=0.0)
    compute.connection_attempt(0.0, "a")
    assert compute.next_tick_s is None
    compute.connection_closed(100.0, "a")
    assert compute.next_tick_s is not None


def test_a_statement_whose_connection_is_lost_is_activity_until_then_and_an_idle_connection_is_none() -> None:
    compute = Compute(Behaviour(suspend_after_s=10.0), lambda: 8.0, now_s=0.0)
    compute.connection_attempt(0.0, "busy")
    compute.connection_attempt(0.0, "idle")
    compute.client_bytes(1.0, "busy")
    compute.connection_closed(5.0, "busy")
    assert compute.next_tick_s == 15.0
    compute.connection_closed(7.0, "idle")
    assert compute.next_tick_s == 15.0


def test_a_suspend_on_command_does_nothing_to_a_compute_that_is_suspended_or_waking() -> None:
    compute = asleep()
    assert compute.suspend(1.0) == []
    compute.connection_attempt(2.0, "a")
    assert compute.suspend(3.0) == []
    assert compute.tick(10.0) == [Woken(10.0, 10.0), Release("a")]


@pytest.mark.parametrize("latency_s", [-0.1, math.inf, math.nan])
def test_a_wake_latency_that_no_clock_could_reach_is_refused(latency_s: float) -> None:
    with pytest.raises(ValueError, match=f"^a wake latency is 0 or positive, got {latency_s}$"):
        asleep(wake_s=latency_s).connection_attempt(1.0, "a")


@pytest.mark.parametrize("suspend_after_s", [0.0, -2.5])
def test_an_idle_time_that_is_not_positive_is_refused(suspend_after_s: float) -> None:
    with pytest.raises(UserError) as refused:
        Behaviour(suspend_after_s=suspend_after_s)
    assert str(refused.value) == f"compute: suspend_after_s must be positive, got {suspend_after_s:g}"


class ComputeMachine(RuleBasedStateMachine):
    """Any order of inputs: every attempt is answered once, and every held connection is released or forgotten."""

    connections = Bundle("connections")

    @initialize(behaviour=st.builds(
        Behaviour, on_suspend=st.sampled_from(OnSuspend), while_waking=st.sampled_from(WhileWaking),
        suspend_after_s=st.none() | st.floats(1, 100), open_connections_prevent_suspend=st.booleans(),
    ), wake_s=st.floats(0, 50))  # fmt: skip
    def start(self, behaviour: Behaviour, wake_s: float) -> None:
        self.now_s = 0.0
        self.names: Iterator[int] = count()
        self.compute = Compute(behaviour, lambda: wake_s, now_s=0.0)
        self.held: set[int] = set()
        self.live: set[int] = set()

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Admit(connection):
                    self.live.add(connection)
                case Hold(connection):
                    self.held.add(connection)
                case Release(connection):
                    assert connection in self.held
                    self.held.discard(connection)
                    self.live.add(connection)
                case Close(connection) | Freeze(connection) | Vanish(connection):
                    assert connection in self.live
                    self.live.discard(connection)
                case Pause(connection):
                    self.live.discard(connection)
                    self.held.add(connection)
                case Woken(at_s, planned_at_s):
                    assert at_s >= planned_at_s

    @rule(by_s=st.floats(0, 200))
    def time_passes(self, by_s: float) -> None:
        self.now_s += by_s
        self.carry_out(self.compute.tick(self.now_s))

    @rule(target=connections)
    def attempt(self) -> int:
        name = next(self.names)
        effects = self.compute.connection_attempt(self.now_s, name)
        answers = [e for e in effects if isinstance(e, Admit | Hold | Drop | Refuse | Fail) and e.connection == name]
        assert len(answers) == 1
        self.carry_out(effects)
        return name

    @rule(name=consumes(connections))
    def close(self, name: int) -> None:
        self.carry_out(self.compute.connection_closed(self.now_s, name))
        self.live.discard(name)
        self.held.discard(name)

    @rule(name=connections)
    def speak(self, name: int) -> None:
        self.carry_out(self.compute.client_bytes(self.now_s, name))

    @rule(name=connections, idle=st.booleans())
    def answer(self, name: int, idle: bool) -> None:
        self.carry_out(self.compute.server_bytes(self.now_s, name, idle=idle))

    @precondition(lambda self: self.compute.state is State.ACTIVE)
    @rule()
    def suspend(self) -> None:
        effects = self.compute.suspend(self.now_s)
        assert isinstance(effects[0], Suspended)
        self.carry_out(effects)
        assert not self.live

    @precondition(lambda self: self.compute.state is State.SUSPENDED)
    @rule()
    def wake(self) -> None:
        effects = self.compute.wake(self.now_s)
        assert isinstance(effects[0], Waking)
        self.carry_out(effects)

    @invariant()
    def nobody_is_held_by_an_active_compute(self) -> None:
        if self.compute.state is State.ACTIVE:
            assert not self.held

    @invariant()
    def a_waking_compute_has_a_time_at_which_it_wakes(self) -> None:
        assert self.compute.state is not State.WAKING or self.compute.next_tick_s is not None


TestComputeMachine = ComputeMachine.TestCase


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (("FATAL", "57P0", "m"), "error response: a SQLSTATE has five characters, got '57P0'"),
        (("FATAL", "57P011", "m"), "error response: a SQLSTATE has five characters, got '57P011'"),
        (("FATAL", "57P01", None), "error response: severity, sqlstate and message are texts without a NUL"),
        ((1, "57P01", "m"), "error response: severity, sqlstate and message are texts without a NUL"),
        (("FATAL", "57P01", "a\0b"), "error response: severity, sqlstate and message are texts without a NUL"),
    ],
)
def test_an_error_response_that_postgresql_could_not_send_is_refused(fields: tuple[Any, ...], line: str) -> None:
    with pytest.raises(UserError) as refused:
        ErrorResponse(*fields)
    assert str(refused.value) == line
