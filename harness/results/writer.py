"""Writes a run. A row has been given to the operating system when its call returns, so a kill loses no row."""

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Self

import pyarrow.parquet

from harness import __version__
from harness.model.errors import StackError, UserError
from harness.model.expectation import Judgement
from harness.model.plan import PlannedRun
from harness.model.status import RunStatus
from harness.model.trial import Trial
from harness.results.disk import unwritable
from harness.results.ended import ENDED, ended_line
from harness.results.folder import MANIFEST
from harness.results.lock import hold, let_go
from harness.results.manifest import Manifest, RecordedTrial, git_commit, this_machine
from harness.results.read import TABLES, read_manifest, read_spool, read_table
from harness.results.rows import ENCODER, lines_of_rows
from harness.shipped import checkout

RESERVE = ".reserve"
MIN_RESERVED = 64 * 1024
"""Bytes reserved on the disk, so that the final manifest can be written even when rows have filled it."""
ALWAYS_VERSIONED = ("pandas", "pyarrow", "matplotlib")


class RunWriter:
    """A run being recorded: a folder with a manifest, logs and, until it closes, a file of JSON lines per table."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.logs = folder / "logs"
        self._lock: int | None = None
        self._spools: dict[str, IO[bytes]] = {}
        self._failed: StackError | UserError | None = None
        self.noted: list[str] = []
        """The notes added while the run was played."""

    @classmethod
    def create(  # noqa: PLR0913 - what the manifest says of a run
        cls,
        out: Path,
        *,
        plan: PlannedRun,
        trials: Sequence[Trial] | None = None,
        stack: str,
        versions: Mapping[str, str],
        parallel: int,
        workers: int | None = None,
        notes: Sequence[str] = (),
        argv: Sequence[str] = (),
    ) -> Self:
        """Make the run's folder under `out`; `trials` None: all of the plan's.

        Raises `UserError` or, on a full disk, `StackError` when that can't be done.
        """
        now = datetime.now(UTC)
        id_ = f"{now:%Y%m%d-%H%M%S}-{plan.scenario.name}-{stack}-{secrets.token_hex(2)}"
        manifest = Manifest(
            id=id_,
            status=RunStatus.RUNNING,
            stack=stack,
            plan=plan,
            trials=[RecordedTrial.of(trial) for trial in (plan.trials if trials is None else trials)],
            parallel=parallel,
            workers=workers,
            notes=list(notes),
            argv=list(argv),
            versions={"coldstart": __version__, **_versions(ALWAYS_VERSIONED), **versions},
            machine=this_machine(),
            git_commit=git_commit(checkout()),
            started_at=_iso(now),
        )
        writer = cls(out / id_, manifest)
        try:
            writer.folder.mkdir(parents=True)
            # What PostgreSQL and an application write may have rows in it; the rest of a run is to be shown.
            writer.logs.mkdir(mode=0o700)
            writer._lock = hold(writer.folder)
            writer._begin()
        except OSError as error:
            writer._let_go()
            shutil.rmtree(writer.folder, ignore_errors=True)
            raise unwritable(out, error) from error
        return writer

    @classmethod
    def resume(cls, folder: Path, *, parallel: int, note: str) -> Self:
        """Go on with a run that was cut short: the rows of its ended trials stay, those of the others are dropped.

        A kill in the middle of this loses no ended trial either. Raises `UserError` for a run that somebody writes,
        and for one that can't be read, `StackError` on a full disk.
        """
        writer = cls(folder, read_manifest(folder))
        try:
            writer._take_over()
            manifest = writer.manifest
            for name in TABLES:
                writer._keep(name, lines_of_rows(read_table(folder, name), manifest.ended))
            writer._keep(
                ENDED, (ended_line(one.number, one.wall_s) for one in manifest.trials if one.wall_s is not None)
            )
            manifest.status, manifest.ended_at, manifest.pid = RunStatus.RUNNING, None, os.getpid()
            manifest.parallel, manifest.expectations = parallel, []
            manifest.notes.append(note)
            writer._begin()
        except UserError:
            writer._let_go()
            raise
        except (OSError, MemoryError) as error:
            writer._let_go()
            raise unwritable(folder, error) from error
        return writer

    def _take_over(self) -> None:
        """Take the lock of a run that was cut short."""
        written = UserError("is being written by another process", where=str(self.folder))
        try:
            self._lock = hold(self.folder, wait=False)
        except BlockingIOError:
            raise written from None
        # Another may have gone on with it, and ended, before the lock was had.
        before, self.manifest = self.manifest, Manifest.read(self.folder)
        if self.manifest.status not in (before.status, RunStatus.RUNNING):
            raise written

    def _keep(self, name: str, lines: Iterable[bytes]) -> None:
        """Make this file of JSON lines anew."""
        new = self.folder / f".{name}.jsonl.new"
        with new.open("wb") as file:
            file.writelines(lines)
        # Where both are there, this is the one that is read.
        new.replace(self.folder / f"{name}.jsonl")
        (self.folder / f"{name}.parquet").unlink(missing_ok=True)

    def _begin(self) -> None:
        # Unbuffered, so that a line that did not fit on a full disk can be truncated again.
        for name in (*TABLES, ENDED):
            self._spools[name] = (self.folder / f"{name}.jsonl").open("ab", buffering=0)
        # Last of its files: it is what makes the folder a run, which can be read whenever it is cut short.
        self.manifest.write(self.folder)
        self._reserve()

    def _let_go(self) -> None:
        for spool in self._spools.values():
            spool.close()
        let_go(self.folder, self._lock)

    @property
    def id(self) -> str:
        return self.manifest.id

    def add_versions(self, versions: Mapping[str, str]) -> None:
        """Add versions that are known only once the stack runs."""
        self.manifest.versions.update(versions)
        self._write_manifest()

    def add_requests(self, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        self._add("requests", trial, rows)

    def add_pool(self, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        self._add("pool", trial, rows)

    def add_events(self, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        self._add("events", trial, rows)

    def note(self, line: str) -> None:
        """Add a note about how the run was played, for its readers."""
        self.manifest.notes.append(line)
        self.noted.append(line)
        self._write_manifest()

    def trial_ended(self, trial: int, *, wall_s: float) -> None:
        """Record that the trial is complete, and took this long."""
        self.manifest.trial_ended(trial, wall_s=wall_s)
        self._append(ENDED, ended_line(trial, wall_s))

    def close(self, status: RunStatus) -> None:
        """Turn the JSON lines into Parquet files and write the manifest with the run's final status.

        On a full disk, or without memory, a table stays in JSON lines, which can be read too, and the status is
        `failed`; `StackError` or `UserError` is raised once the manifest is written.
        """
        for spool in self._spools.values():
            spool.close()
        for name in TABLES:
            try:
                self._finish(name)
            except (OSError, MemoryError, pyarrow.ArrowException) as error:
                self._failed = self._failed or unwritable(self.folder / f"{name}.parquet", error)
                (self.folder / f".{name}.parquet.new").unlink(missing_ok=True)
        self.manifest.status = RunStatus.FAILED if self._failed else status
        if self._failed:
            self.manifest.notes.append(str(self._failed))
        self.manifest.ended_at = _iso(datetime.now(UTC))
        try:
            # Over the space that is reserved for it: what is given back first somebody else may take.
            reserve = self.folder / RESERVE
            self._write_manifest(over=reserve if reserve.is_file() else None)
            # The manifest has it now.
            (self.folder / f"{ENDED}.jsonl").unlink(missing_ok=True)
        finally:
            let_go(self.folder, self._lock)
            self._lock = None
        if self._failed and status is not RunStatus.FAILED:
            raise self._failed

    def _finish(self, name: str) -> None:
        lines = self.folder / f"{name}.jsonl"
        new = self.folder / f".{name}.parquet.new"
        pyarrow.parquet.write_table(read_spool(lines, name), new, compression="zstd")
        new.replace(self.folder / f"{name}.parquet")
        lines.unlink()

    def judged(self, judgements: Sequence[Judgement]) -> None:
        """Write the verdicts on the scenario's expectations into the manifest."""
        self.manifest.expectations = [judgement.to_json() for judgement in judgements]
        self._write_manifest()

    def _add(self, table: str, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        names = [column.name for column in TABLES[table]]
        lines = []
        for row in rows:
            cells = {"trial": trial, **row}
            if unknown := cells.keys() - names:
                raise KeyError(f"{table} has no column {min(unknown)}")
            lines.append({name: cells[name] for name in names if name in cells})
        self._append(table, ENCODER.encode_lines(lines))

    def _append(self, table: str, lines: bytes) -> None:
        """Write all of these lines or none: an incomplete line would make the following ones unreadable."""
        if self._failed:
            raise self._failed
        spool = self._spools[table]
        began, written = spool.tell(), 0
        try:
            while written < len(lines):
                written += spool.write(lines[written:])
        except OSError as error:
            spool.truncate(began)
            self._failed = unwritable(self.folder / f"{table}.jsonl", error)
            raise self._failed from error

    def _reserve(self) -> None:
        """Reserve the space on the disk that the final manifest will need."""
        size = 2 * (self.folder / MANIFEST).stat().st_size + MIN_RESERVED
        # Random bytes: a file system that compresses would reserve almost nothing for zeros.
        (self.folder / RESERVE).write_bytes(secrets.token_bytes(size))

    def _write_manifest(self, *, over: Path | None = None) -> None:
        try:
            self.manifest.write(self.folder, over=over)
        except OSError as error:
            raise unwritable(self.folder / MANIFEST, error) from error


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _versions(packages: Sequence[str]) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
