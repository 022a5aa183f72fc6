"""The queue listener's settings: values that can't be wrong, and their way through the environment."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.model.listener import NO_LISTENER, QueueListener

seconds = st.floats(0.001, 1000)
listeners = st.builds(
    lambda backoffs, **rest: QueueListener(backoff_first_s=min(backoffs), backoff_max_s=max(backoffs), **rest),
    backoffs=st.tuples(seconds, seconds),
    heartbeat_every_s=seconds,
    heartbeat_limit_s=seconds,
    connect_timeout_s=st.just(0.0) | seconds,
    channel=st.from_regex(r"[a-z_][a-z0-9_]{0,62}", fullmatch=True),
)


@given(listeners)
def test_the_environment_reads_back(listener: QueueListener) -> None:
    assert QueueListener.from_environment({"LISTENER_PORT": "1", **listener.to_environment()}) == listener


def test_without_a_channel_in_the_environment_there_is_no_listener() -> None:
    assert QueueListener.from_environment({"LISTENER_CONNECT_TIMEOUT": "1"}) is None
    assert QueueListener.from_environment({**QueueListener().to_environment(), **NO_LISTENER}) is None


def test_a_variable_left_out_keeps_its_default_and_a_wrong_one_is_named() -> None:
    assert QueueListener.from_environment({"LISTENER_CHANNEL": "queue"}) == QueueListener()
    with pytest.raises(UserError, match="LISTENER_CONNECT_TIMEOUT='soon' is not a number of seconds"):
        QueueListener.from_environment({"LISTENER_CHANNEL": "queue", "LISTENER_CONNECT_TIMEOUT": "soon"})


def test_the_backoff_doubles_from_5_s_to_60_s() -> None:
    assert list(islice(QueueListener().backoffs_s(), 6)) == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"heartbeat_every_s": 0}, "heartbeat_every_s must be positive, got 0"),
        ({"heartbeat_limit_s": float("inf")}, "heartbeat_limit_s must be at most 2147483, got inf"),
        ({"connect_timeout_s": -1}, r"connect_timeout_s must be 0 \(none\) or positive, got -1"),
        ({"connect_timeout_s": float("nan")}, "connect_timeout_s"),
        ({"backoff_first_s": 61}, "backoff_max_s must be backoff_first_s, 61, or more, got 60"),
        ({"channel": "Queue; DROP"}, "'Queue; DROP' is not a channel"),
        ({"channel": ""}, "is not a channel"),
        ({"channel": "q" * 64}, "is not a channel"),
    ],
)
def test_a_wrong_value_cannot_be_constructed(settings: dict[str, float | str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        QueueListener(**settings)  # type: ignore[arg-type]
