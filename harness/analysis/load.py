"""A run read back in one call: `harness.analysis.load(run)`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from harness.analysis.columns import numbers
from harness.analysis.measured import beside_each_other
from harness.analysis.summarise import summarise
from harness.model.plan import PlannedRun
from harness.model.scenario import Scenario
from harness.model.summary import TrialSummary
from harness.model.trial import Trial
from harness.results import TABLES, Manifest, find_run, read_manifest, read_table
from harness.results.folder import NEWEST

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run's files as values: its tables, with the columns of results/README.md, and a summary of each trial."""

    folder: Path
    manifest: Manifest
    trials: list[Trial]
    tables: dict[str, pa.Table]

    @property
    def plan(self) -> PlannedRun:
        """The plan of the run: what was played."""
        return self.manifest.plan

    @property
    def scenario(self) -> Scenario:
        """The scenario, without its expectations: those are code, and the manifest has only their verdicts."""
        return self.plan.scenario

    @cached_property
    def requests(self) -> "pd.DataFrame":
        """One row for each request."""
        return _frame(self.tables["requests"])

    @cached_property
    def pool(self) -> "pd.DataFrame":
        """One row for each sample of a pool."""
        return _frame(self.tables["pool"])

    @cached_property
    def events(self) -> "pd.DataFrame":
        """One row for each event: suspended, first_attempt, woken, …"""
        return _frame(self.tables["events"])

    @cached_property
    def summaries(self) -> list[TrialSummary]:
        """The summary of each trial that was started, controls included, in the order of the trials."""
        found = [
            summarise(
                trial,
                requests=self.rows(trial, "requests"),
                pool=self.rows(trial, "pool"),
                events=self.rows(trial, "events").to_pylist(),
                wall_s=recorded.wall_s or 0.0,
                complete=recorded.wall_s is not None,
            )
            for trial, recorded in zip(self.trials, self.manifest.trials, strict=True)
            if trial.number in self._places["requests"]
        ]
        cores = self.manifest.machine.get("cores")
        return beside_each_other(found, cores=cores if isinstance(cores, int) else 1)

    @cached_property
    def summary(self) -> "pd.DataFrame":
        """One row for each trial, as in summary.csv."""
        import pandas as pd

        return pd.DataFrame([summary.to_row() for summary in self.summaries])

    def of(self, trial: Trial, table: str) -> "pd.DataFrame":
        """One trial's rows of one table, in order of time."""
        return _frame(self.rows(trial, table))

    def rows(self, trial: Trial, table: str) -> pa.Table:
        """The same as an Arrow table, without a copy."""
        place = self._places[table].get(trial.number, slice(0, 0))
        return self.tables[table].slice(place.start, place.stop - place.start)

    @cached_property
    def _places(self) -> dict[str, dict[int, slice]]:
        """The slice of each table that holds each trial's rows, which are contiguous."""
        return {name: _places(numbers(table, "trial")) for name, table in self.tables.items()}


def load(run: str | Path = NEWEST) -> Run:
    """Read a run by its folder, its id, the beginning of its id, or `newest` (under results/runs)."""
    folder = find_run(run)
    manifest = read_manifest(folder)
    return Run(
        folder=folder,
        manifest=manifest,
        trials=manifest.planned_trials(),
        tables={name: read_table(folder, name) for name in TABLES},
    )


def _places(numbers: np.ndarray) -> dict[int, slice]:
    """The slice of a sorted column that holds each number."""
    found, begins = np.unique(numbers, return_index=True)
    ends = [*begins[1:], len(numbers)][: len(begins)]
    return {int(number): slice(int(begin), int(end)) for number, begin, end in zip(found, begins, ends, strict=True)}


def _frame(table: pa.Table) -> "pd.DataFrame":
    import pandas as pd  # imported here because it is slow, and the summaries do not need it

    # pandas' nullable types keep a missing status from turning the others into floats.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame
