"""Work on the one processor that everything shares is done one piece after the other."""

import pytest

from harness.model.distribution import Constant
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.times import Calibration, Times
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.simulation.processor import Processor
from harness.simulation.trial import simulate


def test_work_waits_for_the_work_before_it_and_an_idle_processor_for_nothing() -> None:
    now_s = 0.0
    processor = Processor(lambda: now_s)
    assert [processor.takes_s(0.25), processor.takes_s(0.25)] == [0.25, 0.5]
    now_s = 0.375
    assert processor.takes_s(0.25) == 0.375
    now_s = 9.0
    assert processor.takes_s(0.25) == 0.25


def test_what_costs_the_processor_nothing_takes_its_own_time() -> None:
    draw = Processor(lambda: 0.0).charged(lambda: 1.5, 0.0)
    assert [draw(), draw()] == [1.5, 1.5]


def test_the_longer_of_both_counts() -> None:
    draw = Processor(lambda: 0.0).charged(lambda: 1.5, 1.0)
    assert [draw(), draw(), draw()] == [1.5, 2.0, 3.0]


def test_thirty_connects_at_the_wake_are_made_one_after_the_other() -> None:
    pool = PoolConfiguration(pool_size=30, max_overflow=0)
    wake = profile("neon", latency_s=3.0)
    scenario = Scenario(name="test", wake=wake, pools=(pool,), timeline=(Warm(0), Suspend(), Burst(30, 0.0, "at_once")))
    trial = Trial(number=0, story=scenario, pool=pool, wake=wake, seed=1)
    rows = simulate(trial, Times(connect=Constant(0.005), connect_cpu_s=0.0035)).requests
    took_s = sorted(row["latency_s"] - 3.0 for row in rows)
    assert took_s[0] == pytest.approx(0.005)
    assert took_s[-1] == pytest.approx(30 * 0.0035)


def test_a_calibration_charges_what_was_measured_many_at_once() -> None:
    measured = Calibration(
        round_trip_s=(0.001,), service_s=(0.002,), connect_s=(0.005,), source="test",
        request_at_once_s=(0.003, 0.004, 0.009), connect_at_once_s=(0.0035,),
    )  # fmt: skip
    assert (measured.times().statement_cpu_s, measured.times().connect_cpu_s) == (0.004, 0.0035)
    assert "request, of many at once" in measured.medians_s()


def test_an_older_calibration_charges_nothing() -> None:
    measured = Calibration(round_trip_s=(0.001,), service_s=(0.002,), connect_s=(0.005,), source="test")
    assert (measured.times().statement_cpu_s, measured.times().connect_cpu_s) == (0.0, 0.0)
    assert list(measured.medians_s()) == ["round trip", "statement", "connect"]
