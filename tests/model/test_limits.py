"""Every number has a limit, and what is beyond it is refused in one line that says what is allowed."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import limits
from harness.model.arrivals import RequestMix
from harness.model.distribution import Constant, Empirical, LogNormal
from harness.model.errors import UserError
from harness.model.listener import QueueListener
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.retry import Retry
from harness.model.scenario import Scenario, Variant
from harness.model.timeline import Burst, Idle, Slow, Warm
from harness.model.trial import Trial
from harness.model.wake import profile, read_wake

NO_NUMBERS = [math.nan, math.inf, -math.inf, 1e308, -1.0]
STORY = Scenario(name="story", wake=profile("neon"), pools=("5+0",), timeline=(Burst(10, 1.0),))

SECONDS: dict[str, Callable[[float], object]] = {
    "connection_timeout": lambda value: PoolConfiguration(connection_timeout_s=value),
    "statement_timeout": lambda value: PoolConfiguration(statement_timeout_s=value),
    "server_statement_timeout": lambda value: PoolConfiguration(server_statement_timeout_s=value),
    "pool_recycle": lambda value: PoolConfiguration(pool_recycle_s=value),
    "constant wake": Constant,
    "log-normal p50": lambda value: LogNormal(value, 2.0, 3.0),
    "log-normal p95": lambda value: LogNormal(1.0, value, 3.0),
    "log-normal max": lambda value: LogNormal(1.0, 2.0, value),
    "measured wake": lambda value: Empirical((1.0, value)),
    "suspend_after": lambda value: replace(profile("neon"), suspend_after_s=value),
    "burst over": lambda value: Burst(10, over_s=value),
    "burst at": Burst.at,
    "idle": Idle,
    "slow": Slow,
    "hold_s": lambda value: RequestMix.of({"read_track": 1}, hold_s=value),
    "weight": lambda value: RequestMix.of({"read_track": 1, "write_play": -value if value == 1e308 else value}),
    "retry wait": lambda value: Retry(retries=1, wait_s=value),
    "retry factor": lambda value: Retry(retries=1, factor=value),
    "retry longest": lambda value: Retry(retries=1, max_wait_s=value),
    "heartbeat_every": lambda value: QueueListener(heartbeat_every_s=value),
    "heartbeat_limit": lambda value: QueueListener(heartbeat_limit_s=value),
    "listener connect_timeout": lambda value: QueueListener(connect_timeout_s=value),
    "backoff_first": lambda value: QueueListener(backoff_first_s=value),
    "backoff_max": lambda value: QueueListener(backoff_max_s=value),
    "client_timeout_s": lambda value: replace(STORY, client_timeout_s=value),
    "alert_sustained_s": lambda value: replace(STORY, alert_sustained_s=value),
    "service_time_s": lambda value: replace(STORY, service_time_s=value),
    "connect_time_s": lambda value: replace(STORY, connect_time_s=value),
    "--service-time": lambda value: Overrides(service_time_s=value),
    "--wake": lambda value: read_wake(str(value)),
    "--set": lambda value: PoolConfiguration().with_settings({"pool_recycle": str(value)}),
    "--set pool_timeout": lambda value: PoolConfiguration().with_settings({"pool_timeout": str(value)}),
}
WHOLE: dict[str, Callable[[Any], object]] = {
    "pool_size": lambda value: PoolConfiguration(pool_size=value),
    "max_overflow": lambda value: PoolConfiguration(max_overflow=value),
    "requests": lambda value: Burst(value, 1.0),
    "warm": Warm,
    "instances": lambda value: replace(STORY, instances=value),
    "max_connections": lambda value: replace(STORY, max_connections=value),
    "retries": lambda value: Retry(retries=value),
    "addresses": lambda value: replace(profile("neon"), addresses=value),
    "seed": lambda value: trials_of(STORY, seed=value),
    "repeat": lambda value: trials_of(STORY, seed=1, repeat=value),
}


def trials_of(scenario: Scenario, *, seed: int, repeat: int = 1) -> list[Trial]:
    """Every trial of the scenario as its file says it."""
    return PlannedRun(scenario=scenario, overrides=Overrides(seed=seed, repeat=repeat)).trials


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("make", SECONDS.values(), ids=SECONDS)
def test_a_duration_is_a_number_within_limits(make: Callable[[float], object], value: float) -> None:
    with pytest.raises(UserError) as refused:
        make(value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [-1, 10**16, 10**5000, 1.5, True, "5"], ids=lambda value: str(type(value)))
@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_a_count_is_a_whole_number_within_limits(make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(UserError) as refused:
        make(value)
    assert len(str(refused.value)) < 300


def test_what_is_too_large_is_told_what_is_allowed() -> None:
    for make, says in [
        (lambda: PoolConfiguration.from_short("99999999999999999999+5"), "pool_size must be at most 10000"),
        (lambda: PoolConfiguration.from_short("9999+9999"), r"pool_size \+ max_overflow must be at most 10000"),
        (lambda: Burst(10, math.inf), "over must be at most 2147483, got inf"),
        (lambda: Burst(10**12, 1.0), "requests must be at most 100000, got 1000000000000"),
        (lambda: Constant(1e308), r"wake latency must be at most 2147483, got 1e\+308"),
        (lambda: Constant(math.nan), "wake latency must be a number, got nan"),
        (lambda: trials_of(STORY, seed=1, repeat=10**9), "repeat must be at most 10000"),
    ]:
        with pytest.raises(UserError, match=says):
            make()


def test_a_short_form_of_thousands_of_digits_is_no_pool() -> None:
    with pytest.raises(UserError, match="is not a pool"):
        PoolConfiguration.from_short("9" * 5000 + "+0")


def test_the_trials_of_a_run_are_counted_before_they_are_made() -> None:
    pools = tuple(f"{size}+0" for size in range(1, 102))
    with pytest.raises(UserError, match=r"these are 10100 trials \(allowed: up to 10000"):
        trials_of(replace(STORY, pools=pools), seed=1, repeat=100)
    with pytest.raises(UserError, match="these are 10100000 requests in all trials"):
        trials_of(replace(STORY, pools=pools, timeline=(Burst(100_000, 1.0),)), seed=1)


@given(
    st.integers(1, limits.MAX_RETRIES),
    st.floats(0, limits.LONGEST_S),
    st.floats(1, limits.LARGEST_FACTOR),
    st.floats(0, limits.LONGEST_S),
)
def test_every_wait_before_a_retry_is_finite(retries: int, wait_s: float, factor: float, max_wait_s: float) -> None:
    retry = Retry(retries=retries, wait_s=wait_s, factor=factor, max_wait_s=max_wait_s)
    assert all(0 <= seconds <= max_wait_s for seconds in retry.waits_s(1, 1))


@pytest.mark.parametrize(
    "name", ["../x", "", "a/b", "a b", ".", "größe", "x" * 65, "a\n", "$(x)", None], ids=lambda name: repr(name)[:12]
)
def test_a_scenarios_name_is_a_part_of_a_files_name(name: Any) -> None:
    with pytest.raises(UserError, match=r"is not a name \(allowed: 1 to 64 letters, digits, _ and -\)"):
        replace(STORY, name=name)
    with pytest.raises(UserError, match="is not a name"):
        replace(profile("neon"), name=name)


@pytest.mark.parametrize("name", ["a | b", "a\nb", "[bold]x[/]", "<b>", "`x`", "*x*", "", " ", "x" * 61, "\x1b[2J"])
def test_a_variants_name_can_break_no_table(name: str) -> None:
    with pytest.raises(UserError, match="is not a name"):
        Variant(name, instances=2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"seconds\n", r"line 1: 'seconds' is not a number"),
        (b"s\n1\nsoon\n", "line 3: 'soon' is not a number of seconds"),
        (b"s\n1\n\n\nsoon\n", "line 5: 'soon' is not a number of seconds"),
        (b"1\nnan\n", "line 2: wake latency must be a number, got nan"),
        (b"1\ninf\n", "line 2: wake latency must be at most"),
        (b"1\n-2\n", "line 2: wake latency must be 0 or positive"),
        (b"1\n1e308\n", "line 2: wake latency must be at most"),
        ("größe\n1\n".encode("latin-1"), "is not UTF-8"),
        (b"\xff\xfe1\x00\n\x00", "is not UTF-8"),
        (b"1\n" * 100_001, "100001 latencies are too many"),
        (b'"' + b"x" * 200_000, "is not a CSV file: field larger than"),
    ],
    ids=lambda value: repr(value)[:16],
)
def test_a_file_of_latencies_that_is_none_is_named_with_its_line(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "wakes.csv"
    file.write_bytes(content)
    with pytest.raises(UserError, match=says) as refused:
        read_wake(str(file))
    assert str(file) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_folder_is_no_file_of_latencies(tmp_path: Path) -> None:
    folder = tmp_path / "wakes.csv"
    folder.mkdir()
    with pytest.raises(UserError, match="can't be read: Is a directory"):
        read_wake(str(folder))


def test_a_file_of_latencies_is_read_with_a_header_and_a_spreadsheets_mark(tmp_path: Path) -> None:
    file = tmp_path / "wakes.csv"
    file.write_bytes("\ufefflatency_s,größe\n1.5,x\n2,y\n".encode())
    assert read_wake(str(file)).latency == Empirical((1.5, 2.0))
