"""The documents agree with the code."""

import re
import shlex
from pathlib import Path

import click
import pytest

from harness.cli import COMMANDS, coldstart
from harness.library import scenario_names
from harness.results.document import page

ROOT = Path(__file__).parent.parent.parent
FOLDERS = (".", "docs", "results", "examples")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))
COMMAND = re.compile(r"^(?:\$ )?coldstart (.+?)(?:\s{2,}#.*|\s+\\)?$", re.MULTILINE)
INLINE = re.compile(r"`coldstart ([^`]+)`")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {"dev", "setup"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        assert link.startswith("https://") or (path.parent / link).exists(), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(path: Path) -> None:
    named = re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    assert set(named) <= targets()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_that_are_shown_exist_with_their_options(path: Path) -> None:
    text = path.read_text()
    for shown in [*COMMAND.findall(text), *INLINE.findall(text)]:
        name, *arguments = shlex.split(shown)
        assert name in COMMANDS, shown
        command = coldstart.get_command(click.Context(coldstart), name)
        if isinstance(command, click.Group):
            command = command.commands.get(arguments[0])
        assert command is not None, shown
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
        assert used <= known | {"--help"}, shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert any(re.search(rf"coldstart {name}\b", path.read_text()) for path in PAGES)


def test_the_columns_page_is_what_the_columns_say() -> None:
    assert (ROOT / "results" / "README.md").read_text() == page()


def test_every_scenario_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(name in readme for name in scenario_names())


def test_the_changelog_has_the_version() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
