"""A run read back in one call: `harness.analysis.load(run)`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from harness.analysis.summarise import summarise
from harness.results import TABLES, Manifest, find_run, read_manifest, read_table
from harness.results.folder import NEWEST
from harness.scenario import Scenario
from harness.summary import TrialSummary
from harness.trial import Trial

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run's files as values: frames by the columns of results/README.md, and what its trials came to."""

    folder: Path
    manifest: Manifest
    scenario: Scenario
    trials: list[Trial]
    tables: dict[str, pa.Table]

    @cached_property
    def requests(self) -> "pd.DataFrame":
        """A row a request."""
        return self._frame("requests")

    @cached_property
    def pool(self) -> "pd.DataFrame":
        """A row a sample of a pool."""
        return self._frame("pool")

    @cached_property
    def events(self) -> "pd.DataFrame":
        """A row an event: suspended, first_attempt, woken, …"""
        return self._frame("events")

    @cached_property
    def summaries(self) -> list[TrialSummary]:
        """What each trial that was started came to, controls included, in the order of the trials."""
        rows = {name: _by_trial(table.to_pylist()) for name, table in self.tables.items()}
        return [
            summarise(
                trial,
                requests=rows["requests"][trial.number],
                pool=rows["pool"].get(trial.number, []),
                events=rows["events"].get(trial.number, []),
                wall_s=document.get("wall_s", 0.0),
                complete="wall_s" in document,
            )
            for trial, document in zip(self.trials, self.manifest.trials, strict=True)
            if trial.number in rows["requests"]
        ]

    @cached_property
    def summary(self) -> "pd.DataFrame":
        """A row a trial: summary.csv."""
        import pandas as pd

        return pd.DataFrame([one.to_row() for one in self.summaries])

    def of(self, trial: Trial, table: str) -> "pd.DataFrame":
        """One trial's rows of one table."""
        frame: pd.DataFrame = getattr(self, table)
        return frame[frame["trial"] == trial.number]

    def _frame(self, name: str) -> "pd.DataFrame":
        import pandas as pd  # here, because who wants the summaries only should not wait for it

        # pandas' nullable types keep a missing status from turning the others into floats.
        nullable = {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype()}
        frame: pd.DataFrame = self.tables[name].to_pandas(types_mapper=nullable.get)
        return frame


def load(run: str | Path = NEWEST) -> Run:
    """Read a run by its folder, its id, the beginning of its id, or `newest` (under results/runs)."""
    folder = find_run(run)
    manifest = read_manifest(folder)
    return Run(
        folder=folder,
        manifest=manifest,
        scenario=manifest.scenario_read(),
        trials=manifest.trials_read(),
        tables={name: read_table(folder, name) for name in TABLES},
    )


def _by_trial(rows: Sequence[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    sorted_out: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        sorted_out.setdefault(row["trial"], []).append(row)
    return sorted_out
