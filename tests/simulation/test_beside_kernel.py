"""This machine's own kernel, in a network namespace of its own, beside the kernel of virtual time: to 0.1 s."""

import pytest

from benchmarks.kernel import ALLOWED_S, apart_s, expected
from benchmarks.silent_network import Seen, Story, measure, obstacle
from harness.model.kernel import LINUX_6_5

pytestmark = pytest.mark.quiet
FOR_S = 8.5
WAKE_S = 2.0
BEGINNING_S = 1.5
"""By then every story has begun."""


@pytest.fixture(scope="module")
def seen() -> list[Seen]:
    if lacking := obstacle():
        pytest.skip(f"a network namespace is needed: {lacking}")
    stories = [
        Story(request=True),
        Story(request=False),
        Story(request=False, back_after_s=WAKE_S),
        Story(request=False, back_after_s=0.5, writes_after_s=1.0),
    ]
    measured = measure(
        stories, for_s=FOR_S + BEGINNING_S, settings={"tcp_syn_retries": 6, "tcp_syn_linear_timeouts": 4}
    )
    if not all(one.jiffies for one in measured):
        pytest.skip("the kernel does not say where its timer wheel stands")
    return measured


def test_a_dropped_connection_request_is_sent_again_at_the_same_times(seen: list[Seen]) -> None:
    assert len(seen[0].sent_s) >= 6
    assert max(map(abs, apart_s(seen[0], expected(seen[0], LINUX_6_5, request=True)))) < ALLOWED_S


def test_unacknowledged_data_is_sent_again_at_the_same_times(seen: list[Seen]) -> None:
    assert len(seen[1].sent_s) >= 6
    assert max(map(abs, apart_s(seen[1], expected(seen[1], LINUX_6_5, request=False)))) < ALLOWED_S


def test_a_machine_that_is_back_answers_the_next_retransmission_by_rst(seen: list[Seen]) -> None:
    model_s = expected(seen[2], LINUX_6_5, request=False).again_s
    assert seen[2].error == "ECONNRESET"
    assert seen[2].ended_s == pytest.approx(min(at_s for at_s in model_s if at_s > WAKE_S), abs=ALLOWED_S)


def test_what_is_written_after_the_wake_is_answered_by_rst_at_once(seen: list[Seen]) -> None:
    assert (seen[3].error, seen[3].sent_s) == ("ECONNRESET", [])
    assert seen[3].ended_s == pytest.approx(0.0, abs=ALLOWED_S)
