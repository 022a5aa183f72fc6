"""A run's manifest: what ran, on which machine, when, and how it ended."""

import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from harness.converter import from_json, to_json
from harness.model.errors import UserError
from harness.model.expectation import Verdict
from harness.model.limits import quoted
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.status import RunStatus
from harness.model.trial import Trial
from harness.model.wake import WakeProfile
from harness.results.ended import read_ended
from harness.results.folder import MANIFEST
from harness.results.format_2 import OLD_FORMAT, upgraded
from harness.results.lock import is_held

FORMAT = 3
ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(Z|[+-][0-9:]{5})")
COMMIT = re.compile(r"[0-9a-f]{7,64}(\+changes)?")
JUDGED = frozenset({"pool", "statement", "verdict", "why"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrial:
    """A trial within its run's plan."""

    number: int
    variant: str
    pool: PoolConfiguration
    wake: WakeProfile | None
    """None (null): a control."""
    seed: int
    wall_s: float | None = None
    """How long the trial took; None (null): it did not end."""

    @classmethod
    def of(cls, trial: Trial) -> Self:
        return cls(number=trial.number, variant=trial.variant, pool=trial.pool, wake=trial.wake, seed=trial.seed)


@dataclass(slots=True, kw_only=True)
class Manifest:
    """`manifest.json`. Times are ISO 8601 in UTC."""

    id: str
    status: RunStatus
    stack: str
    plan: PlannedRun
    trials: list[RecordedTrial]
    parallel: int
    notes: list[str]
    argv: list[str]
    versions: dict[str, str]
    machine: dict[str, Any]
    git_commit: str | None
    started_at: str
    workers: int | None = None
    """Locust workers of each trial; None (null): one process drove the whole schedule."""
    ended_at: str | None = None
    pid: int = field(default_factory=os.getpid)
    expectations: list[dict[str, str]] = field(default_factory=list)
    format: int = FORMAT

    def write(self, folder: Path, *, over: Path | None = None) -> None:
        """Replace the folder's manifest atomically; `over` is a file whose space on the disk it takes."""
        text = json.dumps(to_json(self), indent=2, sort_keys=True) + "\n"
        new = folder / f".{MANIFEST}.new" if over is None else over
        with new.open("wb" if over is None else "r+b") as file:
            file.write(text.encode())
            file.truncate()
        new.replace(folder / MANIFEST)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The folder's manifest. One that says `running` while nobody writes the run gets the status `killed`.

        Raises `UserError` for a file that is no manifest of this format or the one before.
        """
        try:
            document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise UserError(f"{MANIFEST} can't be read: it is not JSON", where=str(folder)) from None
        manifest = from_json(_of_this_format(document, folder), cls, where=f"{folder}: {MANIFEST} can't be read")
        manifest.check(where=f"{folder}: {MANIFEST} can't be read")
        for number, wall_s in read_ended(folder, {trial.number for trial in manifest.trials}).items():
            manifest.trial_ended(number, wall_s=wall_s)
        if manifest.status is RunStatus.RUNNING and not _is_written(folder, manifest.pid):
            manifest.status = RunStatus.KILLED
        return manifest

    def check(self, *, where: str) -> None:
        """Raises `UserError` for what coldstart never writes: pages, tables and file names are made of these."""
        moments = [self.started_at, *([] if self.ended_at is None else [self.ended_at])]
        for name, texts, kind in (
            ("id", [self.id], ID), ("stack", [self.stack], ID), ("started_at, ended_at", moments, MOMENT),
            ("git_commit", [self.git_commit] if self.git_commit else [], COMMIT),
        ):  # fmt: skip
            if wrong := [text for text in texts if not kind.fullmatch(text)]:
                raise UserError(f"{name} can't be {quoted(wrong[0])}", where=where)
        if any(judged.keys() != JUDGED or judged["verdict"] not in set(Verdict) for judged in self.expectations):
            raise UserError("an expectation has not its four texts", where=where, allowed=", ".join(sorted(JUDGED)))
        if len({trial.number for trial in self.trials}) < len(self.trials):
            raise UserError("two trials have one number", where=where)

    def trial_ended(self, number: int, *, wall_s: float) -> None:
        """Record that a trial ended, and how long it took."""
        at = next(index for index, trial in enumerate(self.trials) if trial.number == number)
        self.trials[at] = replace(self.trials[at], wall_s=round(wall_s, 6))

    @property
    def ended(self) -> set[int]:
        """The numbers of the trials that ended."""
        return {trial.number for trial in self.trials if trial.wall_s is not None}

    @property
    def open_trials(self) -> list[Trial]:
        """The trials that have not ended, with their stories."""
        ended = self.ended
        return [trial for trial in self.planned_trials() if trial.number not in ended]

    def planned_trials(self) -> list[Trial]:
        """The trials with their stories."""
        return [
            self.plan.trial(
                number=trial.number, variant=trial.variant, pool=trial.pool, wake=trial.wake, seed=trial.seed
            )
            for trial in self.trials
        ]


def this_machine() -> dict[str, Any]:
    """The properties of this machine that results depend on, without anything that identifies it."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def git_commit(checkout: Path | None) -> str | None:
    """The commit of the checkout, with `+changes` when files differ from it; None outside a checkout."""
    if checkout is None:
        # Installed from a wheel, perhaps inside another project's repository, whose commit is not ours.
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


def _of_this_format(document: object, folder: Path) -> object:
    if not isinstance(document, dict):
        return document
    found = document.get("format")
    if found == OLD_FORMAT:
        try:
            return upgraded(document)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(f"{MANIFEST} can't be read: something is missing in it", where=str(folder)) from error
    if found == FORMAT or found is None:
        return document
    what = f"was written by another version of coldstart (format {found}, this one reads {OLD_FORMAT} and {FORMAT})"
    raise UserError(what, where=str(folder))


def _is_written(folder: Path, pid: int) -> bool:
    """Whether the process that writes the run lives: it holds the lock. (Another may have its process id by now.)"""
    held = is_held(folder)
    return _runs(pid) if held is None else held


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
