"""The file of checks: every key is an option of `coldstart run`, and everything else is refused in one line."""

import contextlib
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.check import NOT_OF_A_CHECK, _options
from harness.cli.run import plan_of, run
from harness.gate.file import OWN, Check, read_checks
from harness.model.errors import UserError

LEAST = 'scenario = "cold_burst"\nslo = "failed<1%"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "coldstart.toml"


def read(file: Path, *tables: str) -> list[Check]:
    file.write_text("".join(f"[[check]]\n{table}\n" for table in tables), encoding="utf-8")
    return read_checks(file, _options())


def refusal(file: Path, text: str | bytes) -> str:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as caught:
        read_checks(file, _options())
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{file}: ")
    return line.removeprefix(f"{file}: ")


def test_a_check_is_a_scenario_and_objectives_and_is_played_in_virtual_time_without_controls(file: Path) -> None:
    (check,) = read(file, LEAST)
    assert (check.name, check.scenario, check.patience, check.baseline) == ("cold_burst", "cold_burst", None, None)
    assert [str(one) for one in check.objectives] == ["failed<1%"]
    assert check.words == ("--stack=simulated", "--no-control")


def test_every_key_becomes_the_option_of_its_name(file: Path) -> None:
    table = """
name = "night, 5+0"
scenario = "cold_burst"
pool = ["5+0", "10+5,pool_timeout=30"]
wake = [8, 12.5, "neon:3"]
requests = 50
over = 4
repeat = 3
seed = 7
service-time = 0.25
connect_time = 1
set = "connection_timeout=4"
on-suspend = "freeze"
stack = "embedded"
control = true
slo = ["failed<1%", "p95<12s"]
patience = 9
baseline = "baselines/night"
"""
    (check,) = read(file, table)
    assert check.patience is not None
    assert (check.name, check.patience.seconds, check.baseline) == ("night, 5+0", 9.0, "baselines/night")
    assert "--control" in check.words
    _, plan, _ = plan_of([*check.words, "--", check.scenario])
    overrides = plan.overrides
    assert [pool.short for pool in plan.pools] == ["5+0", "10+5"]
    assert [pool.connection_timeout_s for pool in plan.pools] == [4.0, 4.0]
    assert [wake.text for wake in overrides.wakes] == ["8", "12.5", "neon:3"]
    assert (overrides.requests, overrides.over_s, overrides.repeat, overrides.seed) == (50, 4.0, 3, 7)
    assert (overrides.service_time_s, overrides.connect_time_s, overrides.control) == (0.25, 1.0, True)


def test_every_option_of_run_that_says_what_is_played_is_a_key(file: Path) -> None:
    parameters = [one for one in run.params if isinstance(one, click.Option) and one.name not in NOT_OF_A_CHECK]
    assert len(parameters) > 30
    values: dict[bool, Any] = {True: "true", False: '"x"'}
    for parameter in parameters:
        name = parameter.opts[0].removeprefix("--")
        option = _options()[name]
        value = "1" if int in option.types else values[option.switch]
        (check,) = read(file, f"{LEAST}{name} = {value}\n")
        assert f"--{name}" in check.words or f"--{name}={value.strip(chr(34))}" in check.words
    assert not set(OWN) & set(_options())


def test_a_running_application_has_the_stack_of_its_own(file: Path) -> None:
    (check,) = read(file, f'{LEAST}target = "http://127.0.0.1:8000"\n')
    assert check.words == ("--no-control", "--target=http://127.0.0.1:8000")


def test_a_check_knows_the_line_on_which_it_begins(file: Path) -> None:
    file.write_text(f'# mine\n\n[[check]]\nname = "a"\n{LEAST}\n  [[ check ]]\nname = "b"\n{LEAST}')
    assert [check.line for check in read_checks(file, _options())] == [3, 8]
    # What looks like a table may be the line of a text: then no line is named rather than a wrong one.
    file.write_text(f"[[check]]\n{LEAST}prepare = '''\n[[check]]\n'''\n")
    assert [check.line for check in read_checks(file, _options())] == [None]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "check 1: has no scenario (allowed: scenario, slo, and any of the options of coldstart run)"),
        ("scenario = 'a'", "check 1: has no slo, so it would judge nothing (allowed: such as slo = [\"failed<1%\"])"),
        ("scenario = 'a'\nslo = []", "check 1: slo: must be text, or a list of that, got '[]'"),
        ("scenario = 'a'\nslo = ['failed']", "check 1: slo: 'failed' is not an objective (allowed: failed<1%, an"),
        ("scenario = 'a'\nslo = 'failed<0%'", "check 1: slo: 'failed<0%' can't be met by anything (allowed: failed<="),
        ("scenario = 'a'\nslo = ['p95<1s', 'p(95)<1s']", "check 1: slo: the objective p(95)<1s is there twice"),
        ('scenario = 7\nslo = "failed<1%"', "check 1: scenario: must be text, got '7'"),
        ('scenario = ""\nslo = "failed<1%"', "check 1: scenario: is empty"),
        (LEAST + "pools = ['5+0']", "check 1: has an unknown key 'pools' (allowed: pool)"),
        (LEAST + "servicetime = 1", "check 1: has an unknown key 'servicetime' (allowed: service-time)"),
        (LEAST + "json = true", "check 1: has an unknown key 'json' (allowed: "),
        (LEAST + "fail-if = 'failed>1%'", "check 1: has an unknown key 'fail-if' (allowed: "),
        (LEAST + "over = 1\n'o-ver' = 1", "check 1: has an unknown key 'o-ver' (allowed: over)"),
        (LEAST + "service-time = 1\nservice_time = 1", "check 1: has service-time twice, once as service_time"),
        (LEAST + 'requests = "50"', "check 1: requests: must be a whole number, got '50'"),
        (LEAST + "requests = 50.0", "check 1: requests: must be a whole number, got '50.0'"),
        (LEAST + "requests = true", "check 1: requests: must be a whole number, got 'True'"),
        (LEAST + "requests = [50]", "check 1: requests: must be a whole number, got '[50]'"),
        (LEAST + "pool = [5]", "check 1: pool: must be text, or a list of that, got '[5]'"),
        (LEAST + "pool = []", "check 1: pool: must be text, or a list of that, got '[]'"),
        (LEAST + "pool = ['5+0', '']", "check 1: pool: is empty"),
        (LEAST + "wake = [true]", "check 1: wake: must be a number or text, or a list of that, got '[True]'"),
        (LEAST + "control = 1", "check 1: control: must be true or false, got '1'"),
        (LEAST + "patience = 0", "check 1: patience must be positive, got 0"),
        (LEAST + "patience = inf", "check 1: patience must be at most 2147483, got inf"),
        (LEAST + "patience = nan", "check 1: patience must be a number, got nan"),
        (LEAST + "patience = '3'", "check 1: patience: must be a number of seconds, got '3'"),
        (LEAST + "name = 'a|b'", "check 1: name: 'a|b' is not a name (allowed: up to 60 letters"),
        (LEAST + "set = {pool_timeout = 3}", "check 1: set: must be text, or a list of that, got"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_check_and_its_key(file: Path, table: str, says: str) -> None:
    assert refusal(file, f"[[check]]\n{table}\n").startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no check (allowed: [[check]] tables)"),
        ("check = 7", "has no check (allowed: [[check]] tables)"),
        ("check = [7]", "has no check (allowed: [[check]] tables)"),
        ("[check]\nscenario = 'cold_burst'", "has no check (allowed: [[check]] tables)"),
        ("[[checks]]\n", "has an unknown key 'checks' (allowed: [[check]] tables)"),
        (f"slo = 'failed<1%'\n[[check]]\n{LEAST}", "has an unknown key 'slo' (allowed: [[check]] tables)"),
        ("[[check]\n", "is not TOML: "),
        (b"[[check]]\n\xff", "is not TOML: "),
        (f"[[check]]\n{LEAST}[[check]]\n{LEAST}", "two checks have the name 'cold_burst' (allowed: a name for each)"),
    ],
)
def test_a_file_of_no_checks_is_refused(file: Path, text: str | bytes, says: str) -> None:
    assert refusal(file, text).startswith(says)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.toml: can't be read: No such file or directory"):
        read_checks(tmp_path / "nothing.toml", _options())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"[[check]]\n{text}".encode()))
def test_no_file_makes_it_fail_in_another_way(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with contextlib.suppress(UserError):
        read_checks(file, _options())
