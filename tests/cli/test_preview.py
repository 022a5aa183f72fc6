"""The preview of a run in real time: virtual time's answer, one line for each configuration at each wake."""

import re
import shutil
from pathlib import Path

import pytest

from harness.cli.preview import HEADING, show_preview
from harness.cli.run import plan_of
from harness.model.errors import UserError

COUNTS = re.compile(r"^  (.+): ((?:\w+ \d+)(?:  \w+ \d+)*)$")


def previewed(*words: str, wanted: bool | None = None) -> list[str]:
    chosen, plan, options = plan_of([*words, "--stack", "embedded"])
    lines: list[str] = []
    show_preview(chosen[0], plan, options, lines.append, wanted)
    return lines


def test_where_trials_wait_for_their_turn_each_configuration_has_a_line_at_each_wake() -> None:
    lines = previewed("cold_burst", "--parallel", "1", "--pool", "5+0", "--pool", "10+5", "--wake", "8", "--wake", "12")
    assert lines[0] == HEADING
    found = [COUNTS.match(line) for line in lines[1:]]
    assert [match and match[1] for match in found] == [
        "5+0, wake 8 s", "5+0, wake 12 s", "10+5, wake 8 s", "10+5, wake 12 s",
    ]  # fmt: skip
    for match in found:
        assert match is not None
        assert sum(int(word) for word in match[2].split()[1::2]) == 200
    # The incident: what the reference service set answers all at 8 s, and not at 12.
    assert "  5+0, wake 8 s: ok 200" in lines
    assert any(line.startswith("  5+0, wake 12 s: ") and "pool_timeout" in line for line in lines)


def test_a_run_that_plays_all_its_trials_at_once_has_none_unless_it_is_asked_for() -> None:
    one = ("cold_burst", "--pool", "5+0", "--wake", "8", "--no-control")
    assert previewed(*one) == []
    assert previewed(*one, wanted=True) == [HEADING, "  5+0, wake 8 s: ok 200"]
    many = ("cold_burst", "--parallel", "1", "--pool", "5+0", "--wake", "8")
    assert previewed(*many, wanted=False) == []


def test_of_many_seeds_it_is_the_first() -> None:
    lines = previewed("cold_burst", "--parallel", "1", "--pool", "5+0", "--wake", "8", "--repeat", "3")
    assert lines[0] == f"{HEADING} (of 3 seeds the first)"
    assert len(lines) == 2


def test_what_takes_long_in_virtual_time_too_has_none_by_itself() -> None:
    long = ("cold_burst", "--parallel", "1", "--pool", "5+0", "--wake", "8", "--requests", "20000")
    assert previewed(*long) == []


def test_what_virtual_time_can_not_play_has_none_and_says_why_where_it_is_asked_for(tmp_path: Path) -> None:
    # An application of which there is no recording.
    folder = shutil.copytree("examples/minimal", tmp_path / "app", ignore=shutil.ignore_patterns("recording*"))
    words = ("cold_burst", "--parallel", "1", "--pool", "5+0", "--wake", "8", "--app", "main:app")
    words = (*words, "--app-dir", f"{folder}", "--requests-file", f"{folder / 'requests.toml'}")
    assert previewed(*words) == []
    (line,) = previewed(*words, wanted=True)
    assert line.startswith("no preview: ")


def test_a_run_in_virtual_time_is_its_own() -> None:
    chosen, plan, options = plan_of(["cold_burst", "--stack", "simulated"])
    show_preview(chosen[0], plan, options, print, None)
    with pytest.raises(UserError, match="belongs to the stacks in real time"):
        show_preview(chosen[0], plan, options, print, wanted=True)
