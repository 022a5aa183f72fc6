"""The committed runs: complete, small, of each stack, and what the README shows of them."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.analysis import load
from harness.analysis.decision import decide
from harness.analysis.findings import findings
from harness.cli.decision import print_decision
from harness.cli.run_table import comparison
from harness.model.status import RunStatus

ROOT = Path(__file__).parent.parent.parent
SAMPLES = sorted(path.parent for path in (ROOT / "results" / "sample").glob("*/manifest.json"))
MOST_BYTES = 500_000


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_whole_small_and_names_no_machine(folder: Path) -> None:
    run = load(folder)
    assert run.manifest.status is RunStatus.COMPLETE
    assert run.manifest.stack == {"incident": "simulated"}.get(folder.name, folder.name)
    assert all(one.complete and one.kept_schedule for one in run.summaries)
    assert len(run.summaries) == len(run.trials)
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES
    assert not re.search(r'"/|/(home|root|tmp|work)/', (folder / "manifest.json").read_text())
    assert re.fullmatch("[0-9a-f]{40}", run.manifest.git_commit or ""), "made from a commit without changes"
    assert {one["verdict"] for one in run.manifest.expectations} <= {"reproduced", "unknown"}


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda path: path.name)
def test_its_summary_is_what_its_rows_say(folder: Path) -> None:
    kept, counted = pd.read_csv(folder / "summary.csv"), load(folder).summary
    assert list(kept.columns) == list(counted.columns)
    for column in ("failed", "pool_timeout", "connect_timeout", "peak_waiting"):
        assert kept[column].tolist() == counted[column].tolist()


def test_the_stacks_agree_on_what_the_default_story_loses() -> None:
    lost = {
        name: {
            (one.trial.configuration, one.trial.wake_latency_s): one.failed
            for one in load(ROOT / "results" / "sample" / name).summaries
            if one.trial.seed == 1 and one.trial.wake_latency_s in (8.0, 12.0)
        }
        for name in ("embedded", "compose", "simulated")
    }
    assert len(lost["embedded"]) == 10
    for name in ("compose", "simulated"):
        assert lost[name].keys() == lost["embedded"].keys()
        for cell, failed in lost[name].items():
            assert abs(failed - lost["embedded"][cell]) <= 3, (name, cell)


def test_the_readme_shows_the_embedded_sample() -> None:
    run = load(ROOT / "results" / "sample" / "embedded")
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(comparison(run.summaries))
    for sentence in findings(run.summaries):
        console.print(f"• {sentence}")
    print_decision(console, decide(run))
    assert isinstance(console.file, io.StringIO)
    readme = (ROOT / "README.md").read_text()
    for line in console.file.getvalue().splitlines():
        assert line.rstrip() in readme, line
