"""The kernel's timers: what silence leads to, and when."""

from pathlib import Path

import pytest

from harness.model.errors import UserError
from harness.model.kernel import HOST, KERNELS, LINUX_5, LINUX_6_5, Keepalive, Kernel, fires_at, this_kernel

NEW_S = (1, 2, 3, 4, 5, 7, 11, 19, 35, 67)
OLD_S = (1, 3, 7, 15, 31, 63)


@pytest.mark.parametrize(("kernel", "nominal_s", "gives_up_s"), [(LINUX_6_5, NEW_S, 131), (LINUX_5, OLD_S, 127)])
def test_a_connection_request_is_repeated_as_documented_and_at_most_a_slot_of_the_wheel_later(
    kernel: Kernel, nominal_s: tuple[int, ...], gives_up_s: int
) -> None:
    for asked_s in (0.0, 0.3, 1.7, 100.123):
        silence = kernel.request(asked_s)
        late_s = [again_s - asked_s - at_s for again_s, at_s in zip(silence.again_s, nominal_s, strict=True)]
        assert all(0 <= seconds <= at_s * 0.07 + 0.03 for seconds, at_s in zip(late_s, nominal_s, strict=True))
        assert 0 <= silence.gives_up_s - asked_s - gives_up_s < 4.5


def test_unacknowledged_data_is_repeated_for_a_quarter_of_an_hour() -> None:
    silence = LINUX_6_5.data(0.0)
    assert silence.again_s[:6] == pytest.approx((0.2, 0.4, 0.8, 1.6, 3.3, 6.6), abs=0.1)
    # Two minutes each from there on, as far as the wheel lets it.
    assert {round(b - a, 3) for a, b in zip(silence.again_s[10:], silence.again_s[11:], strict=False)} == {120.832}
    assert 924.6 < silence.gives_up_s < 924.6 + 120.832


@pytest.mark.parametrize(("retries", "gives_up_s"), [(3, 6.66), (5, 13.3), (8, 106.5)])
def test_fewer_retries_give_up_sooner(retries: int, gives_up_s: float) -> None:
    kernel = Kernel(name="impatient", tcp_retries2=retries)
    assert kernel.data(0.0).gives_up_s == pytest.approx(gives_up_s, rel=0.02)


def test_a_long_way_makes_every_retransmission_later() -> None:
    near, far = LINUX_6_5.data(0.0).again_s, LINUX_6_5.data(0.0, round_trip_s=0.1).again_s
    assert all(a < b for a, b in zip(near, far, strict=False))
    assert far[0] == pytest.approx(0.3, abs=0.04)


def test_no_timer_is_early_and_none_later_than_its_slot_is_long() -> None:
    for now in (0, 1, 63, 511, 12_345):
        for after in (1, 62, 63, 503, 504, 4031, 4032, 32_255, 32_256, 1_800_000):
            late = fires_at(now, after) - now - after
            assert 0 < late <= max(1, after // 7 + 1)


def test_keepalives_go_out_after_the_idle_time_and_then_regularly() -> None:
    silence = LINUX_6_5.keepalives(0.0, Keepalive(idle_s=10, every_s=5, probes=3))
    assert silence.again_s == pytest.approx((10, 15, 20), abs=1)
    assert silence.gives_up_s == pytest.approx(25, abs=1)


def test_this_machines_kernel_is_read_from_its_settings(tmp_path: Path) -> None:
    for name, value in {"tcp_syn_retries": 3, "tcp_retries2": 8}.items():
        (tmp_path / name).write_text(f"{value}\n")
    # An old kernel does not have the third.
    assert this_kernel(tmp_path) == Kernel(name=HOST, tcp_syn_retries=3, tcp_retries2=8)
    (tmp_path / "tcp_syn_linear_timeouts").write_text("2\n")
    assert this_kernel(tmp_path).tcp_syn_linear_timeouts == 2
    with pytest.raises(UserError, match="can't be read"):
        this_kernel(tmp_path / "nowhere")


def test_every_kernel_has_the_name_that_it_is_chosen_by() -> None:
    assert {name: choose().name for name, choose in KERNELS.items()} == {name: name for name in KERNELS}
    assert LINUX_6_5.words == "linux-6.5 (tcp_syn_retries 6, tcp_syn_linear_timeouts 4, tcp_retries2 15)"
