"""The example applications: in virtual time they end as their results.csv says, and in real time they run."""

from pathlib import Path

import pytest

from benchmarks.agreement_applications import APPLICATIONS, EXAMPLES
from benchmarks.examples import check, rows_of, written
from harness.cli.run import plan_of
from harness.model.errors import UserError
from harness.recording import read
from harness.run import execute
from harness.stacks.base import Quiet

OURS = [name for name in APPLICATIONS if name != "prefect"]
"""Those that run in coldstart's own environment."""


@pytest.mark.parametrize("name", OURS)
def test_it_ends_in_virtual_time_as_its_results_say(name: str, tmp_path: Path) -> None:
    assert rows_of(APPLICATIONS[name], None, tmp_path) == written(name)


def test_a_result_that_is_another_one_is_shown_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = written("minimal")
    assert check("minimal", rows) == 0
    assert f"{len(rows)} trials in virtual time, none other than" in capsys.readouterr().out
    changed = [{**rows[0], "ok": "199", "p95_s": "9.99"}, *rows[1:]]
    assert check("minimal", changed) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"ok is {rows[0]['ok']} there" in said
    assert "1 other than examples/minimal/results.csv has them" in said
    # A trial that is missing, and one that nobody had.
    assert check("minimal", rows[1:]) > 0
    assert check("minimal", [*rows, rows[0]]) == 1


def test_the_same_trials_of_a_public_application_end_alike() -> None:
    """Prefect's environment is too large for a test; what was played in it is here."""
    shop = {(row["pool"], row["connection_timeout_s"]): int(row["ok"]) for row in written("shop")}
    prefect = {(row["pool"], row["connection_timeout_s"]): int(row["ok"]) for row in written("prefect")}
    assert prefect.keys() == shop.keys()
    assert all(abs(prefect[key] - shop[key]) <= 2 for key in shop)
    assert "prefect" in read(EXAMPLES / "prefect" / "recording.jsonl").app


@pytest.mark.parametrize("name", OURS)
def test_it_runs_in_real_time(name: str, tmp_path: Path) -> None:
    example = APPLICATIONS[name]
    words = ["cold_burst", "--app", "main:app", "--app-dir", str(EXAMPLES / name), "--stack", "embedded",
             "--pool", "2+1", "--wake", "1", "--requests", "12", "--over", "1", "--no-control"]  # fmt: skip
    if example.init is not None:
        words += ["--init", str(EXAMPLES / name / example.init)]
    if example.driver is not None:
        words += ["--set", f"driver={example.driver}"]
    stack, plan, options = plan_of(words)
    done = execute(plan, stack=stack, options=options, progress=Quiet(), out=tmp_path, charts=False)
    (summary,) = done.summaries
    assert summary.outcomes == {"ok": 12}
    assert summary.wakes == 1
    assert summary.peak_checked_out == 3
    assert summary.checkout_wait_s["max"] > 0.3


def test_an_import_that_starts_a_thread_marks_its_trials_and_two_drivers_are_two_runs(tmp_path: Path) -> None:
    minimal = EXAMPLES / "minimal"
    for name in ("requests.toml", "recording.jsonl"):
        (tmp_path / name).write_bytes((minimal / name).read_bytes())
    starts = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (tmp_path / "main.py").write_text(f"{starts}from shop import app\n")
    (tmp_path / "shop.py").write_text((minimal / "main.py").read_text())
    words = ["cold_burst", "--app", "main:app", "--app-dir", str(tmp_path), "--stack", "simulated", "--pool", "2+1",
             "--wake", "1", "--requests", "12", "--over", "1", "--no-control"]  # fmt: skip
    stack, plan, options = plan_of(words)
    (summary,) = execute(plan, stack=stack, options=options, progress=Quiet(), out=tmp_path, charts=False).summaries
    assert summary.outcomes == {"ok": 12}
    assert list(summary.not_played) == ["its import started a thread, which is not there in a trial's process"]
    (chosen, _), both, options = plan_of([*words, "--pool", "2+1,driver=psycopg"])
    with pytest.raises(UserError, match="asyncpg and psycopg are two imports of it"):
        chosen.check(both, options)
