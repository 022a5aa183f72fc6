"""The folder of a run, damaged: its manifest, its rows and its events, read as the commands read them."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import strategies as st

from harness.analysis import load
from harness.analysis.report import report
from harness.cli import coldstart
from harness.results.folder import MANIFEST
from harness.results.read import TABLES
from tests.fuzz.fuzzing import NUMBERS, WORDS, Fuzzer, as_json, mutated_bytes, mutated_json
from tests.fuzz.small_run import small_run

COMMANDS = [
    ["compare", "RUN"],
    ["compare", "RUN", "--markdown"],
    ["compare", "RUN", "--json", "--fail-if", "failed>99%"],
    ["compare", "RUN", "--csv"],
    ["diff", "RUN", "--pool", "1+0 pool_timeout=1 (as it is)", "--pool", "the fix (as it is)"],
    ["diff", "RUN", "RUN", "--json"],
]
ROW_VALUES = (
    None,
    True,
    "",
    "ok",
    "timed_out",
    "woken",
    "burst_started",
    "{}",
    "[]",
    '{"burst": "x"}',
    "null",
    *NUMBERS,
    *WORDS,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """A copy to put damage into."""
    return Path(shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("logs")))


def ask(command: list[str], run: Path) -> None:
    """One command about the run, in this process. Raises `UserError`."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        coldstart.main([str(run) if word == "RUN" else word for word in command], standalone_mode=False)


def count(run: Path) -> None:
    """What every command does first."""
    assert load(run).summaries is not None


def rows_of(run: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(run / f"{table}.parquet").to_pylist()
    return rows


def test_manifests(fuzzer: Fuzzer, damaged: Path) -> None:
    manifest = (damaged / MANIFEST).read_bytes()

    def read(content: bytes) -> None:
        (damaged / MANIFEST).write_bytes(content)
        count(damaged)

    fuzzer(mutated_json([json.loads(manifest)]).map(as_json) | mutated_bytes([manifest]), read, accepted=0.1)


def put_rows(run: Path, table: str, document: Any) -> None:
    lines = document if isinstance(document, list) else [document]
    (run / f"{table}.jsonl").write_bytes(b"".join(as_json(line) + b"\n" for line in lines))


@pytest.mark.parametrize("table", TABLES)
def test_rows(fuzzer: Fuzzer, damaged: Path, table: str) -> None:
    rows = rows_of(damaged, table)

    def read(document: Any) -> None:
        put_rows(damaged, table, document)
        count(damaged)

    fuzzer(mutated_json([rows[:1], rows[::9], rows[::9]], values=ROW_VALUES), read, accepted=0.1)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_about_a_damaged_run(fuzzer: Fuzzer, damaged: Path, command: list[str]) -> None:
    """Each takes a second, of which the intervals are most: few, of runs that can be counted."""
    documents = {table: rows_of(damaged, table) for table in TABLES}
    examples = st.sampled_from(sorted(TABLES)).flatmap(
        lambda table: st.tuples(st.just(table), mutated_json([documents[table]], values=ROW_VALUES))
    )

    def read(example: tuple[str, Any]) -> None:
        for table in TABLES:
            (damaged / f"{table}.jsonl").unlink(missing_ok=True)
        put_rows(damaged, *example)
        ask(command, damaged)

    fuzzer(examples, read, accepted=0.1, most=40, ordinary=2, hangs_s=60.0)


@pytest.mark.parametrize("table", TABLES)
def test_parquet_files(fuzzer: Fuzzer, damaged: Path, table: str) -> None:
    file = damaged / f"{table}.parquet"

    def read(content: bytes) -> None:
        file.write_bytes(content)
        count(damaged)

    fuzzer(mutated_bytes([file.read_bytes()], most=2), read, accepted=0.02)


def test_reports(fuzzer: Fuzzer, damaged: Path) -> None:
    """Charts take a second each: what summaries accept, and few."""
    events = rows_of(damaged, "events")

    def read(document: Any) -> None:
        put_rows(damaged, "events", document)
        report(load(damaged))

    fuzzer(mutated_json([events], values=ROW_VALUES), read, accepted=0.1, most=40, ordinary=2, hangs_s=60.0)
