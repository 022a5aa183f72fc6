"""A run's manifest: what ran, on what, from when to when, and how it ended."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from harness.model.scenario import Scenario
from harness.model.status import RunStatus
from harness.model.trial import Trial
from harness.results.codec import scenario_from_json, trial_from_json
from harness.results.folder import MANIFEST

FORMAT = 2


@dataclass(slots=True, kw_only=True)
class Manifest:
    """`manifest.json`. Times are ISO 8601 in UTC."""

    id: str
    status: RunStatus
    stack: str
    scenario: dict[str, Any]
    trials: list[dict[str, Any]]
    parallel: int
    notes: list[str]
    argv: list[str]
    versions: dict[str, str]
    machine: dict[str, Any]
    git_commit: str | None
    started_at: str
    workers: int | None = None
    """Locust workers of each trial; null: one process drove the whole schedule."""
    asked: dict[str, float] = field(default_factory=dict)
    """The simulated database's times that the user gave: service_time_s, connect_time_s."""
    ended_at: str | None = None
    pid: int = field(default_factory=os.getpid)
    expectations: list[dict[str, str]] = field(default_factory=list)
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Replace the folder's manifest, whole or not at all."""
        new = folder / f".{MANIFEST}.new"
        new.write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        new.replace(folder / MANIFEST)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The folder's manifest; a run that says `running` and has no process any more was killed."""
        manifest = cls(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        manifest.status = RunStatus(manifest.status)
        if manifest.status is RunStatus.RUNNING and not _runs(manifest.pid):
            manifest.status = RunStatus.KILLED
        return manifest

    def trials_read(self) -> list[Trial]:
        """The trials as values."""
        scenario = self.scenario_read()
        return [trial_from_json(trial, scenario) for trial in self.trials]

    def scenario_read(self) -> Scenario:
        """The scenario as a value; its expectations are not in the manifest, their verdicts are."""
        return scenario_from_json(self.scenario)


def this_machine() -> dict[str, Any]:
    """What a figure of this run depends on, without anything that names the machine."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def git_commit(checkout: Path | None) -> str | None:
    """The commit of the checkout, `+changes` when files differ from it; None outside a checkout."""
    if checkout is None:
        # Installed from a wheel, perhaps within another project's repository: its commit says nothing of ours.
        return None

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}+changes" if git("status", "--porcelain", "--untracked-files=no") else commit


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
