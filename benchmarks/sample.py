"""Makes results/sample/ anew: a run of each stack, and one of an incident; what the documents show comes from them.

Run it from a commit without changes, so that the manifests name what made them.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.analysis import load
from harness.analysis.charts import draw_charts
from harness.postmortem import write
from harness.results.folder import DEFAULT_RUNS, run_folders

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "results" / "sample"
IMAGES = ROOT / "docs" / "images"
SHOWN = ("requests-wake-12s", "pool-wake-12s", "outcomes", "rates", "settings")
PRODUCTION = "5+0"
"""What the README shows of the embedded run."""
WAKES = ("6", "8", "10", "12", "14")
RUNS = {
    "embedded": ["cold_burst", "--stack", "embedded"],
    "compose": ["cold_burst", "--stack", "compose"],
    "simulated": ["cold_burst", "--stack", "simulated", *(word for wake in WAKES for word in ("--wake", wake)),
                  "--repeat", "3"],
    "incident": ["incident_2025_12_02", "--stack", "simulated"],
}  # fmt: skip


def make(name: str) -> None:
    """One run, in the place of the one before."""
    before = set(run_folders())
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", *RUNS[name], "--no-charts"],
        cwd=ROOT,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    (made,) = set(run_folders()) - before
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}: {made}")
    shutil.rmtree(SAMPLE / name, ignore_errors=True)
    shutil.move(made, SAMPLE / name)
    shutil.rmtree(SAMPLE / name / "logs", ignore_errors=True)


def draw() -> None:
    """The README's pictures: charts of the embedded run, and of its pool's settings once they are changed."""
    with TemporaryDirectory(prefix="coldstart-sample-") as folder:
        copy = Path(shutil.copytree(SAMPLE / "embedded", Path(folder) / "embedded"))
        draw_charts(load(copy), copy / "charts")
        write(load(copy), configuration=PRODUCTION)
        for name in SHOWN:
            shutil.copy(copy / "charts" / f"{name}.png", IMAGES / f"{name}.png")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", choices=[*RUNS, []], help="which of them; left out, all")
    SAMPLE.mkdir(exist_ok=True)
    assert Path("results/runs") == DEFAULT_RUNS, "the samples are taken from there"
    for name in options.parse_args().names or RUNS:
        make(name)
    draw()


if __name__ == "__main__":
    main()
