"""The GitHub Action: its steps, run here in a shell as GitHub runs them, against a small file of checks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import junitparser
import pytest
import yaml

from harness.cli.check import check as check_command

ROOT = Path(__file__).parent.parent.parent
EXPRESSION = re.compile(r"\$\{\{ *([^}]+?) *\}\}")
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
CHECKS = """
[[check]]
scenario = "cold_burst"
requests = 40
over = 4
wake = 12
pool = "5+0"
slo = "failed<{limit}%"
"""


class Workflow:
    """What GitHub gives to the steps of a composite action."""

    def __init__(self, folder: Path, action: Path = ROOT, **inputs: str) -> None:
        self.workspace = folder / "work space"
        self.workspace.mkdir()
        self.output, self.summary = folder / "output", folder / "summary"
        self.output.touch()
        self.action = action
        defaults = {name: str(one["default"]) for name, one in ACTION["inputs"].items()}
        self.values = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()} | {
            "github.action_path": str(action),
            "runner.temp": str(folder / "temp"),
            "steps.python.outputs.python-path": sys.executable,
        }

    def valued(self, text: str) -> str:
        return EXPRESSION.sub(lambda found: self.values[found[1]], text)

    def step(self, name: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        step = STEPS[name]
        # GitHub's own way to start `shell: bash`.
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self.valued(step["run"])]
        given = {key: self.valued(value) for key, value in step["env"].items()}
        files = {"GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary)}
        return subprocess.run(
            shell,
            cwd=self.workspace / self.valued(step.get("working-directory", ".")),
            env={**os.environ, **files, "GITHUB_WORKSPACE": str(self.workspace), **given, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.fixture
def action(tmp_path: Path) -> Path:
    """A folder that looks like the action's checkout after its set-up, in this interpreter's environment."""
    programs = tmp_path / "action path" / ".venv" / "bin"
    programs.mkdir(parents=True)
    program = programs / "coldstart"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness "$@"\n')
    program.chmod(0o755)
    return tmp_path / "action path"


def test_a_build_fails_with_the_commands_own_status_and_everything_is_kept(tmp_path: Path, action: Path) -> None:
    workflow = Workflow(tmp_path, action)
    (workflow.workspace / "coldstart.toml").write_text(CHECKS.format(limit=1))
    done = workflow.step("Check")
    assert done.returncode == 4, done.stderr
    results = Path(workflow.outputs["results"])
    assert workflow.outputs["status"] == "4"
    assert junitparser.JUnitXml.fromfile(str(results / "junit.xml")).failures == 1
    assert workflow.summary.read_text() == (results / "summary.md").read_text()
    assert "::error file=coldstart.toml,line=2,title=cold_burst%3A failed<1%25 is missed::" in done.stderr
    (run,) = (results / "runs").iterdir()
    assert (run / "manifest.json").is_file()


def test_a_build_passes_where_all_is_met_and_its_inputs_are_no_shell(tmp_path: Path, action: Path) -> None:
    hostile = "$(touch pwned) `touch pwned`; touch pwned #.toml"
    workflow = Workflow(
        tmp_path, action, file=hostile, args="--json  --no-charts", stack="simulated", **{"working-directory": "a b"}
    )
    (workflow.workspace / "a b").mkdir()
    (workflow.workspace / "a b" / hostile).write_text(CHECKS.format(limit=100))
    done = workflow.step("Check")
    assert done.returncode == 0, done.stderr
    assert workflow.outputs["status"] == "0"
    assert done.stdout.startswith('{"file": ')
    assert not list(tmp_path.rglob("pwned"))


def test_bad_input_fails_the_build_too(tmp_path: Path, action: Path) -> None:
    workflow = Workflow(tmp_path, action)
    done = workflow.step("Check")
    assert (done.returncode, workflow.outputs["status"]) == (2, "2")
    assert "coldstart.toml: can't be read" in done.stderr


def test_the_set_up_installs_this_checkout_with_its_lock_by_hash(tmp_path: Path) -> None:
    copy = tmp_path / "action path"
    copy.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-uv.lock"):
        shutil.copy(ROOT / name, copy)
    workflow = Workflow(tmp_path, copy)
    # make says what it would do: the real thing downloads for a quarter of a minute.
    done = workflow.step("Install coldstart", MAKEFLAGS="n")
    assert done.returncode == 0, done.stderr
    assert f"{sys.executable} -m venv .venv" in done.stdout
    assert "--require-hashes -r requirements.lock" in done.stdout
    assert "--no-deps --no-build-isolation --editable ." in done.stdout


def test_what_it_uses_is_pinned_and_what_it_passes_on_exists() -> None:
    for step in STEPS.values():
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
        else:
            assert step["shell"] == "bash"
            # An expression in a script would be read as shell.
            assert not EXPRESSION.search(step["run"])
    options = {option for one in check_command.params if isinstance(one, click.Option) for option in one.opts}
    used = set(re.findall(r"(?<!\S)--[a-z-]+", STEPS["Check"]["run"]))
    assert used <= options | {"--"}


def test_every_expression_is_known_and_every_input_is_used() -> None:
    text = (ROOT / "action.yml").read_text()
    inputs = {f"inputs.{name}" for name in ACTION["inputs"]}
    steps = {step["id"] for step in STEPS.values() if "id" in step}
    used = set(EXPRESSION.findall(text))
    assert inputs <= used
    for one in used - inputs - {"github.action_path", "runner.temp"}:
        found = re.fullmatch(r"steps\.([a-z]+)\.outputs\.[a-z-]+", one)
        assert found is not None, one
        assert found[1] in steps
    written = set(re.findall(r'echo "([a-z]+)=', STEPS["Check"]["run"]))
    assert {one.rpartition(".")[2] for one in used if one.startswith("steps.check")} == written
