"""The same trials on each pair of SQLAlchemy 2.0 and 2.1 with asyncpg 0.31 and 0.32: where do the libraries differ?

Each pair is installed into a folder of its own, in front of the environment's packages.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.report import SIMULATION_PAGE, write_table

SQLALCHEMY = ("2.0.52", "2.1.9")
ASYNCPG = ("0.31.0", "0.32.0")
POOLS = ("5+0", "10+5")
WAKE_S = 11.0

Found = dict[str, dict[str, int]]


def play() -> Found:
    """Every behaviour of a compute with two pools: outcomes with their errors, by cell. Runs inside one pair."""
    from harness.model.compute import OnSuspend, WhileWaking
    from harness.model.plan import Overrides, PlannedRun
    from harness.model.scenario import Scenario
    from harness.model.timeline import Burst, Suspend, Warm
    from harness.model.wake import profile
    from harness.simulation.trial import simulate

    found: Found = {}
    for on_suspend in OnSuspend:
        for while_waking in WhileWaking:
            wake = profile("neon").with_changes(
                latency_s=WAKE_S, on_suspend=on_suspend.value, while_waking=while_waking.value
            )
            scenario = Scenario(
                name="versions", wake=wake, pools=POOLS, timeline=(Warm(), Suspend(), Burst(requests=200, over_s=20))
            )
            for trial in PlannedRun(scenario=scenario, overrides=Overrides(control=False)).trials:
                rows = simulate(trial, sampled=False).requests
                counts = Counter(f"{row['outcome']} {row['error'] or ''}".strip() for row in rows)
                found[f"{on_suspend}, {while_waking}, {trial.pool.short}"] = dict(sorted(counts.items()))
    return found


def played_with(sqlalchemy: str, asyncpg: str, folder: Path) -> Found:
    """The cells with one pair of versions."""
    target = folder / f"{sqlalchemy}-{asyncpg}"
    packages = [f"sqlalchemy=={sqlalchemy}", f"asyncpg=={asyncpg}"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, "--target", str(target), *packages], check=True)
    code = "import json; from benchmarks.agreement_versions import play; print(json.dumps(play()))"
    path = os.pathsep.join([str(target), str(Path(__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    found: Found = json.loads(done.stdout)
    return found


def main() -> None:
    pairs = [(sqlalchemy, asyncpg) for sqlalchemy in SQLALCHEMY for asyncpg in ASYNCPG]
    with tempfile.TemporaryDirectory(prefix="coldstart-versions-") as folder:
        found = {pair: played_with(*pair, Path(folder)) for pair in pairs}
    newest = found[pairs[-1]]
    rows = []
    for pair in pairs:
        apart = [cell for cell in newest if found[pair][cell] != newest[cell]]
        example = f"{apart[0]}: {_said(found[pair][apart[0]])}, not {_said(newest[apart[0]])}" if apart else ""
        rows.append([*pair, str(len(newest)), str(len(apart)), example])
    header = ("SQLAlchemy", "asyncpg", "cells", "differ from the newest pair", "for example")
    write_table("versions", header, rows, page=SIMULATION_PAGE)


def _said(counts: dict[str, int]) -> str:
    return "; ".join(f"{count} {what}" for what, count in counts.items())


if __name__ == "__main__":
    main()
