"""The notebooks run, on every sample, with pandas and matplotlib alone; what is committed is what they really said."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from benchmarks.notebooks import NOTEBOOKS, RESULTS, execute

SAMPLES = sorted(path.parent for path in (RESULTS / "sample").glob("*/manifest.json"))
ALLOWED = {"IPython", "json", "math", "matplotlib", "numpy", "pandas", "pathlib"}
MOST_BYTES = 200_000


def cells(notebook: Path) -> list[Any]:
    return [cell for cell in nbformat.read(notebook, nbformat.NO_CONVERT).cells if cell.cell_type == "code"]


def said(notebook: Path) -> str:
    """Everything a notebook's outputs say in words."""
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type in ("error", "stream")]
    return "\n".join(str(text) for one in outputs for name, text in one.data.items() if name.startswith("text/"))


def pictures(notebook: Path) -> int:
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_there_are_three_and_a_sample_of_each_stack() -> None:
    assert [notebook.stem for notebook in NOTEBOOKS] == ["compare_pools", "incident", "wake_latency"]
    assert {"compose", "embedded", "simulated"} <= {sample.name for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_runs_on_every_sample(notebook: Path, sample: Path, tmp_path: Path) -> None:
    made = tmp_path / notebook.name
    execute(notebook, made, sample)
    assert pictures(made) >= 1
    assert len(said(made)) > 500
    assert all(cell.metadata.jupyter.source_hidden for cell in cells(made) if cell.source)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_was_executed_is_small_and_names_no_machine(notebook: Path) -> None:
    text = notebook.read_text()
    assert len(text) < MOST_BYTES
    assert all(cell.execution_count for cell in cells(notebook) if cell.source)
    assert pictures(notebook) >= 1
    assert not re.search(r'"[^"]*/(home|root|tmp|work)/', text)
    assert "papermill" not in text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_need_nothing_but_pandas_and_matplotlib(notebook: Path) -> None:
    imported = set()
    for cell in cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert imported <= ALLOWED


def test_what_the_committed_one_says_to_choose_is_what_its_sample_says() -> None:
    summary = pd.read_csv(RESULTS / "sample" / "embedded" / "summary.csv")
    woken = summary[~summary["control"]]
    lost = woken.groupby(["pool_size", "max_overflow", "pool_timeout_s"])[["failed", "requests"]].sum()
    best = lost.sort_values("failed").iloc[0]
    words = f"loses the fewest requests over all wakes: {best['failed']} of {best['requests']}."
    assert words in said(RESULTS / "compare_pools.ipynb")


def test_a_run_of_one_wake_is_told_that_it_says_nothing_about_sensitivity(tmp_path: Path) -> None:
    made = tmp_path / "wake_latency.ipynb"
    execute(RESULTS / "wake_latency.ipynb", made, RESULTS / "sample" / "incident")
    assert "One wake latency says nothing about sensitivity" in said(made)
