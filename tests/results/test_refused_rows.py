"""Rows that no run has are refused in one line, in JSON lines and in Parquet, before anything counts with them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from harness.analysis import load
from harness.model.errors import StackError, UserError
from harness.results.folder import MANIFEST
from tests.fuzz.small_run import small_run

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def refusal(run: Path) -> str:
    with pytest.raises(UserError) as refused:
        load(run)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(run / f"{table}.parquet").to_pylist()
    return found


@pytest.mark.parametrize(
    ("table", "changes", "says"),
    [
        ("requests", {"outcome": "fine"}, "no outcome is called 'fine' (allowed: "),
        ("requests", {"latency_s": 1e300}, "a row's latency_s is out of range"),
        ("requests", {"number": 2**60}, "a row's number is out of range"),
        ("requests", {"request": None}, "has a line that is no row of this table"),
        ("requests", {"more": 1}, "has a line that is no row of this table"),
        ("requests", {"number": 2**63}, "has a line that is no row of this table"),
        ("events", {"event": "lunch"}, "no event is called 'lunch'"),
        ("events", {"event": "not_played", "detail": '{"what": 1, "times": 1}'}, "the detail of an event 'not_played'"),
        ("events", {"event": "answered", "detail": "[]"}, "the detail of an event 'answered'"),
        ("events", {"event": "burst_started", "detail": '{"burst": "x"}'}, "the detail of an event 'burst_started'"),
        ("events", {"event": "burst_started", "detail": '{"utc": "x"}'}, "the detail of an event 'burst_started'"),
        ("events", {"detail": "{"}, "the detail of an event"),
        ("events", {"detail": DEEP}, "the detail of an event"),
    ],
)
def test_a_value_that_no_run_has_is_refused(run: Path, table: str, changes: dict[str, Any], says: str) -> None:
    first, *others = rows(run, table)
    lines = [json.dumps(row) for row in ({**first, **changes}, *others)]
    (run / f"{table}.jsonl").write_text("\n".join(lines) + "\n")
    assert f"{table}.jsonl: {says}" in refusal(run)


@pytest.mark.parametrize("line", [DEEP, '{"trial": ' + DEEP, "null", "{}", '"' + "a" * 100_000])
def test_a_line_that_is_no_row_ends_no_process(run: Path, line: str) -> None:
    """pyarrow's own reader of JSON ends it, by a signal, at brackets that are thousands deep."""
    (run / "pool.jsonl").write_text(f"{line}\n")
    assert refusal(run).endswith("pool.jsonl: has a line that is no row of this table")


def test_a_text_that_is_not_utf_8_is_refused(run: Path) -> None:
    old = pyarrow.parquet.read_table(run / "requests.parquet")
    texts = pa.array([b"\xfb\xff"] * old.num_rows, pa.binary())
    bad = pa.StringArray.from_buffers(old.num_rows, texts.buffers()[1], texts.buffers()[2])
    place = old.column_names.index("request")
    pyarrow.parquet.write_table(old.set_column(place, old.schema.field(place), bad), run / "requests.parquet")
    assert refusal(run).endswith("requests.parquet: has a text that is not UTF-8, or is damaged")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "../x"}, "id can't be '../x'"),
        ({"stack": "a|b"}, "stack can't be 'a|b'"),
        ({"started_at": "now"}, "started_at, ended_at can't be 'now'"),
        ({"git_commit": "<b>"}, "git_commit can't be '<b>'"),
        ({"expectations": [{"pool": "x"}]}, "an expectation has not its four texts"),
    ],
)
def test_a_manifest_with_other_words_than_coldstarts_is_refused(run: Path, changes: dict[str, Any], says: str) -> None:
    document = json.loads((run / MANIFEST).read_text())
    (run / MANIFEST).write_text(json.dumps({**document, **changes}))
    assert says in refusal(run)


def test_a_manifest_of_brackets_is_refused(run: Path) -> None:
    (run / MANIFEST).write_text(DEEP)
    assert refusal(run).endswith("can't be read: it is not JSON")


def test_a_machine_that_has_no_thread_left_is_not_a_damaged_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        # pyarrow's words, of a process that may have no more memory.
        raise pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily unavailable")

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "read", none_left)
    with pytest.raises(StackError, match=r"requests\.parquet: can't be read: .*Failed to launch worker thread"):
        load(run)
