"""The one place that writes a run. Every row is on its way to the disk when its call returns: a kill loses nothing."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Self

import pyarrow.parquet

from harness.model.errors import UserError
from harness.model.expectation import Judgement
from harness.model.plan import PlannedRun
from harness.model.trial import Trial
from harness.results.manifest import Manifest, RecordedTrial, git_commit, this_machine
from harness.results.read import TABLES, read_spool

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ALWAYS_VERSIONED = ("coldstart", "pandas", "pyarrow", "matplotlib")


class RunWriter:
    """A run being recorded: a folder with its manifest, its logs, and one file of lines a table until it closes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.logs = folder / "logs"
        self._spools: dict[str, IO[str]] = {}

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
        """Make the run's folder under `out`. Raises `UserError` when that can't be written.

        `trials` None: all of the plan's.
        """
        now = datetime.now(UTC)
        id_ = f"{now:%Y%m%d-%H%M%S}-{plan.scenario.name}-{stack}-{secrets.token_hex(2)}"
        manifest = Manifest(
            id=id_,
            status="running",
            stack=stack,
            plan=plan,
            trials=[RecordedTrial.of(trial) for trial in (plan.trials if trials is None else trials)],
            parallel=parallel,
            workers=workers,
            notes=list(notes),
            argv=list(argv),
            versions={**_versions(ALWAYS_VERSIONED), **versions},
            machine=this_machine(),
            git_commit=git_commit(CHECKOUT),
            started_at=_iso(now),
        )
        writer = cls(out / id_, manifest)
        try:
            writer.logs.mkdir(parents=True)
            manifest.write(writer.folder)
            writer._spools = {name: (writer.folder / f"{name}.jsonl").open("a") for name in TABLES}
        except OSError as error:
            raise UserError(f"can't write a run here: {error.strerror}", where=str(out)) from error
        return writer

    @property
    def id(self) -> str:
        return self.manifest.id

    def add_versions(self, versions: Mapping[str, str]) -> None:
        """Versions only known once the stack runs."""
        self.manifest.versions.update(versions)
        self.manifest.write(self.folder)

    def add_requests(self, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        self._add("requests", trial, rows)

    def add_pool(self, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        self._add("pool", trial, rows)

    def add_events(self, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        self._add("events", trial, rows)

    def trial_ended(self, trial: int, *, wall_s: float) -> None:
        """The trial is whole, and took this long."""
        self.manifest.trial_ended(trial, wall_s=wall_s)

    def close(self, status: str) -> None:
        """Turn the lines into Parquet files and say in the manifest how the run ended."""
        for name, spool in self._spools.items():
            spool.close()
            lines = self.folder / f"{name}.jsonl"
            new = self.folder / f".{name}.parquet.new"
            pyarrow.parquet.write_table(read_spool(lines, name), new, compression="zstd")
            new.replace(self.folder / f"{name}.parquet")
            lines.unlink()
        self.manifest.status = status
        self.manifest.ended_at = _iso(datetime.now(UTC))
        self.manifest.write(self.folder)

    def judged(self, judgements: Sequence[Judgement]) -> None:
        """Keep what became of the scenario's expectations."""
        self.manifest.expectations = [judgement.to_json() for judgement in judgements]
        self.manifest.write(self.folder)

    def _add(self, table: str, trial: int, rows: Sequence[Mapping[str, Any]]) -> None:
        names = [column.name for column in TABLES[table]]
        for row in rows:
            whole = {"trial": trial, **row}
            if unknown := whole.keys() - names:
                raise KeyError(f"{table} has no column {min(unknown)}")
            self._spools[table].write(json.dumps({name: whole[name] for name in names if name in whole}) + "\n")
        self._spools[table].flush()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
