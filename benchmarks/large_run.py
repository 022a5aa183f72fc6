"""A run of a million requests: how long `coldstart compare` and `coldstart report` take over it, and how much memory.

The run is generated: the trials of a simulated cold burst, repeated until there are enough of them. Its files are
what a run of that size would have written, samples of the pool included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from benchmarks.report import write_table
from harness.library import load_scenario
from harness.model.columns import EVENTS, POOL, REQUESTS
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario
from harness.model.status import RunStatus
from harness.model.timeline import Burst
from harness.results import RunWriter
from harness.results.read import schema
from harness.simulation.trial import simulate

OVER_S = 20.0
READING = """
import sys, pandas as pd
for name in ("requests", "pool", "events"):
    pd.read_parquet(f"{sys.argv[1]}/{name}.parquet")
"""


def tables(scenario: Scenario) -> list[dict[str, pa.Table]]:
    """Each trial's tables, once."""
    columns = {"requests": REQUESTS, "pool": POOL, "events": EVENTS}
    played = []
    for trial in PlannedRun(scenario=scenario, overrides=Overrides(control=False)).trials:
        rows = simulate(trial)
        played.append({
            name: pa.Table.from_pylist([{"trial": 0, **row} for row in getattr(rows, name)], schema(kind))
            for name, kind in columns.items()
        })  # fmt: skip
    return played


def repeated(table: pa.Table, copies: int, trial: int) -> pa.Table:
    """One trial's rows one after the other, `copies` times, each in the seconds and numbers after the last."""
    whole = pa.concat_tables([table] * copies)
    copy = np.repeat(np.arange(copies), table.num_rows)
    for place, name in enumerate(whole.column_names):
        values = whole[name].combine_chunks()
        if name == "trial":
            values = pa.array(np.full(len(values), trial))
        elif name == "number":
            values = pa.array(values.to_numpy() + copy * table.num_rows)
        elif name in ("at_s", "arrival_s", "start_s", "end_s"):
            values = pa.array(values.to_numpy() + copy * OVER_S)
        whole = whole.set_column(place, table.schema.field(name), values)
    return whole


def generate(out: Path, *, requests: int, copies: int) -> tuple[Path, int, int]:
    """A run of that many requests, `copies` cold bursts to a trial; its folder, trials and samples."""
    scenario = load_scenario("cold_burst")
    played = tables(scenario)
    each = played[0]["requests"].num_rows
    seeds = max(1, requests // (each * copies * len(played)))
    burst = Burst(requests=each * copies, over_s=OVER_S * copies)
    longer = replace(scenario, timeline=(*scenario.timeline[:-1], burst), expect=None)
    plan = PlannedRun(scenario=longer, overrides=Overrides(repeat=seeds, control=False))
    trials = plan.trials
    writer = RunWriter.create(out, plan=plan, stack="simulated", versions={}, parallel=1, argv=["run", "cold_burst"])
    for trial in trials:
        writer.trial_ended(trial.number, wall_s=1.0)
    writer.close(RunStatus.COMPLETE)
    rows = {}
    for name in ("requests", "pool", "events"):
        # A compute wakes once a trial.
        times = copies if name != "events" else 1
        parts = [repeated(played[trial.number % len(played)][name], times, trial.number) for trial in trials]
        whole = pa.concat_tables(parts)
        rows[name] = whole.num_rows
        pyarrow.parquet.write_table(whole, writer.folder / f"{name}.parquet")
    return writer.folder, len(trials), rows["pool"]


def measured(command: Sequence[str]) -> tuple[float, float]:
    """Seconds that a process takes, and the most memory it held, in MB."""
    started_at_s = monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return monotonic() - started_at_s, used.ru_maxrss / 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=1_000_000)
    asked = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as folder:
        for copies in (1, asked.requests // 2_000):
            run, trials, samples = generate(Path(folder), requests=asked.requests, copies=copies)
            each = asked.requests // trials
            base_s, base_mb = measured([sys.executable, "-c", READING, str(run)])
            told = [("pandas reads the files", base_s, base_mb)]
            for command in ("compare", "report"):
                took_s, mb = measured([sys.executable, "-m", "harness", command, str(run)])
                told.append((f"coldstart {command}", took_s, mb))
            page_mb = (run / "report.html").stat().st_size / 1e6
            for what, took_s, mb in told:
                file = f"{page_mb:.1f}" if what.endswith("report") else ""
                rows.append([f"{trials:,} × {each:,}", f"{samples:,}", what, f"{took_s:.1f}", f"{took_s / base_s:.1f}",
                             f"{mb:.0f}", file])  # fmt: skip
    columns = ("trials × requests", "samples of the pool", "", "s", "× reading", "MB at most", "file [MB]")
    write_table("large-run", columns, rows)


if __name__ == "__main__":
    main()
