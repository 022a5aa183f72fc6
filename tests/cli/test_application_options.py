"""The options about an application of one's own: what is refused before anything starts, in one line"""

from pathlib import Path

import pytest

from tests.cli.test_bad_input import coldstart

RUN = ["run", "cold_burst", "--stack", "embedded"]
REQUEST = '[[request]]\nname = "read_item"\npath = "/items/{key}"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requests.toml").write_text(REQUEST)
    (tmp_path / "token.toml").write_text(REQUEST + 'headers = {Authorization = "Bearer ${SHOP_TOKEN_OF_NOBODY}"}\n')
    (tmp_path / "stray.txt").touch()
    return tmp_path


@pytest.mark.parametrize("command", [RUN, ["record"]])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--app", "main"], "--app: 'main' is not an application (allowed: module:attribute)"),
        (["--app", "main:app", "--requests-file", "none.toml"], "none.toml: can't be read: No such file or directory"),
        (["--app", "main:app", "--python", "no/python"], "--python: no/python is no Python (allowed: an interpreter,"),
        (["--app", "main:app", "--python", "stray.txt"], "--python: stray.txt is no Python (allowed: an interpreter,"),
        (["--app", "main:app", "--init", "none.sql"], "none.sql: can't be read: No such file or directory"),
        (["--app", "main:app", "--app-dir", "nowhere", "--requests-file", "requests.toml"], "nowhere is not a folder"),
        (["--app", "main:app", "--env", "colour=RED"], "--env: no setting 'colour' (allowed: url, host"),
        (["--app", "main:app", "--env", "django"], "--env: no ready mapping 'django' (allowed: NAME=VARIABLE, or url"),
        (["--app", "main:app", "--env", "url=A-B"], "--env: 'A-B' is not a variable's name (allowed: letters"),
        (["--app", "main:app", "--env", "pool_timeout=T:h"], "--env: no unit 'h' (allowed: s, ms)"),
        (["--app", "main:app", "--env", "driver=D"], "--env: driver is not a variable's (allowed: --set driver=…)"),
        (
            ["--app", "main:app", "--requests-file", "token.toml"],
            "request read_item: the environment has no variable SHOP_TOKEN_OF_NOBODY (allowed: SHOP_TOKEN_OF_NOBODY=…",
        ),
    ],
    ids=lambda value: " ".join(value[2:] or value) if isinstance(value, list) else "",
)
def test_it_is_named_in_one_line(folder: Path, command: list[str], arguments: list[str], says: str) -> None:
    done = coldstart(*command, *arguments, cwd=folder)
    assert says in done.stderr
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    "option",
    [
        ["--python", "python3"], ["--requests-file", "requests.toml"], ["--app-dir", "."], ["--env", "url"],
        ["--init", "x.sql"], ["--prepare", "make"], ["--recording", "x.jsonl"], ["--stub", "example.com=1"], ["--cpu"],
    ],
    ids=lambda option: option[0],
)  # fmt: skip
def test_an_option_about_an_application_needs_one(folder: Path, option: list[str]) -> None:
    done = coldstart(*RUN, *option, cwd=folder)
    assert f"run: {option[0]} is about an application of one's own (allowed: with --app" in done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    "option", [["--stub", "example.com=1"], ["--cpu"], ["--recording", "x.jsonl"]], ids=lambda option: option[0]
)
def test_what_only_virtual_time_has_is_refused_in_real_time(folder: Path, option: list[str]) -> None:
    done = coldstart(*RUN, "--app", "main:app", *option, cwd=folder)
    assert f"{option[0]} belongs to the simulated stack" in done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("example.com", "--stub: 'example.com' is not a stub (allowed: HOST=SECONDS)"),
        ("example.com=soon", "--stub: 'example.com=soon' is not a stub (allowed: HOST=SECONDS)"),
        ("=1", "--stub: '' is not a host (allowed: HOST=SECONDS)"),
        ("example.com=-1", "--stub example.com: a stub's seconds must be 0 or positive, got -1"),
        ("example.com=nan", "--stub example.com: a stub's seconds must be a number, got nan"),
    ],
)
def test_a_stub_is_a_host_and_seconds(folder: Path, text: str, says: str) -> None:
    done = coldstart("run", "cold_burst", "--stack", "simulated", "--app", "main:app", "--stub", text, cwd=folder)
    assert says in done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_to_record_names_an_application() -> None:
    done = coldstart("record")
    assert "Missing option '--app'" in done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
