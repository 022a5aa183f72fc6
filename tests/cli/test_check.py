"""`coldstart check` from the shell: exit statuses, what is printed and written, a baseline kept and compared."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import junitparser
import pytest
from click.testing import CliRunner, Result

from harness.cli.check import check as check_command
from harness.cli.compare import compare as compare_command
from harness.cli.run import run as run_command
from harness.gate.keep import FILES
from harness.model.errors import UserError

ROOT = Path(__file__).parent.parent.parent
STORY = 'scenario = "cold_burst"\nrequests = 40\nover = 4\nwake = 12\n'
MISSED = f'[[check]]\nname = "missed"\n{STORY}pool = ["5+0", "10+5"]\nslo = ["failed<1%", "max<60s"]\n'
HOLDS = f'[[check]]\nname = "met"\n{STORY}pool = "10+5,connection_timeout=20"\nslo = "failed<=0%"\n'


@pytest.fixture(autouse=True)
def a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


def invoked(command: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)


def checked(text: str, *arguments: str, file: str = "coldstart.toml") -> tuple[int, Result]:
    Path(file).write_text(text)
    done = invoked(check_command, file, *arguments)
    return done.return_value, done


def words(result: Result) -> str:
    return " ".join(result.stdout.split())


def test_a_missed_objective_has_an_exit_status_of_its_own_and_comes_first(tmp_path: Path) -> None:
    status, done = checked(MISSED + HOLDS)
    assert status == 4
    assert done.stdout.splitlines()[1] == "coldstart.toml: 2 missed, 3 met in 2 checks"
    assert max(len(line) for line in done.stdout.splitlines() if "Results:" not in line) <= 80
    assert re.search(r"^  missed +10\+5 +failed<1% +[\d.]+% \(\d+ of 40\)$", done.stdout, re.MULTILINE)
    assert re.search(r"^  met +10\+5 +max<60s +[\d.]+ s$", done.stdout, re.MULTILINE)
    assert "met: met, cold_burst on simulated" in done.stdout
    (folder, other) = sorted((tmp_path / "results" / "runs").iterdir())
    assert f"Results: results/runs/{folder.name}" in done.stdout
    assert json.loads((other / "manifest.json").read_text())["status"] == "complete"


def test_where_everything_is_met_the_status_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(HOLDS)[0] == 0
    # Without an argument it is the file of this folder.
    assert invoked(check_command).return_value == 0


def test_the_verdict_is_that_of_all_seeds_together_and_says_how_many_miss_it() -> None:
    text = f'[[check]]\n{STORY}pool = "5+0"\nrepeat = 3\nslo = ["failed<1%", "failed<100%"]\n'
    status, done = checked(text, "--json")
    first, second = json.loads(done.stdout)["checks"][0]["objectives"]
    assert (status, first["verdict"], first["missed_in"], first["seeds"], first["requests"]) == (4, "missed", 3, 3, 120)
    assert (second["verdict"], second["missed_in"]) == ("met", 0)
    assert first["value"] == second["value"] > 0.01


def test_a_document_is_all_that_json_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    status, done = checked(MISSED, "--json", "--junit", "junit.xml", "--markdown", "page.md", "--no-charts")
    document = json.loads(done.stdout)
    assert (document["verdict"], document["exit_status"], status) == ("missed", 4, 4)
    assert done.stderr.count("::error file=coldstart.toml,line=1,title=missed%3A failed<1%25 is missed::") == 2
    assert junitparser.JUnitXml.fromfile("junit.xml").failures == 2
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("## ❌ coldstart check: 2 missed, 2 met")
    # The summary of a step is added to: other steps' lines stay.
    assert summary.read_text() == "before\n" + page


def test_no_annotations_are_printed_outside_of_github_and_where_they_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "::error" not in checked(MISSED)[1].stderr
    assert "::error" in checked(MISSED, "--annotations")[1].stderr
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "::error" not in checked(MISSED, "--no-annotations")[1].stderr


def test_a_baseline_is_kept_and_a_replay_of_it_shows_no_difference(tmp_path: Path) -> None:
    text = HOLDS + 'baseline = "baselines/met"\n'
    with pytest.raises(UserError) as caught:
        checked(text)
    assert str(caught.value) == (
        "coldstart.toml: check met: baseline: baselines/met: no such folder (allowed: a run's folder, which holds its "
        "manifest.json; coldstart check --write-baselines makes it)"
    )
    assert not (tmp_path / "results").exists()
    status, done = checked(text, "--write-baselines")
    assert status == 0
    assert "baselines/met is now the baseline: run" in words(done)
    assert sorted(path.name for path in (tmp_path / "baselines" / "met").iterdir()) == sorted(FILES)
    status, done = checked(text)
    assert "no difference, each of the 40 requests ends exactly as in the baseline." in words(done)
    assert "conditions" not in done.stdout
    assert re.search(r"failed<=0% +0% +0% \(0 of 40\)", done.stdout)
    # With one seed more, the two values are not of the same requests, and not put beside each other.
    status, done = checked(f"{text}repeat = 2\n")
    assert re.search(r"failed<=0% +0% \(0 of 80\)", done.stdout)
    assert "not made under the same conditions: seeds: 1 in the baseline, now 1 and 2." in words(done)
    # Another pool: the same arrivals, of which some are lost now.
    status, done = checked(text.replace("connection_timeout=20", "connection_timeout=5"), "--markdown", "page.md")
    assert status == 4
    assert (
        "(in the baseline 10+5 connection_timeout=20): worse than the baseline: of 40 requests none is saved and"
        in (words(done))
    )
    assert re.search(r"`failed<=0%` \| 0% \| [\d.]+% \(\d+ of 40\) \|", (tmp_path / "page.md").read_text())
    assert "one seed, so this is known of its arrivals only" in words(done)


def test_a_baseline_is_written_over_nothing_but_a_run_and_by_nothing_but_a_measurement(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    with pytest.raises(UserError, match="check met: baseline: baseline: notes is something else than a run"):
        checked(HOLDS + 'baseline = "notes"\n', "--write-baselines")
    assert not (tmp_path / "results").exists()


def test_everything_that_the_file_names_is_found_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    mine = (ROOT / "scenarios" / "cold_burst.py").read_text()
    (tmp_path / "ci" / "mine.py").write_text(mine)
    status, done = checked(HOLDS.replace("cold_burst", "mine.py"), file="ci/coldstart.toml")
    assert status == 0
    assert list((tmp_path / "ci" / "results" / "runs").iterdir())
    assert "Results: ci/results/runs/" in done.stdout
    # What the command line names is found from here.
    checked(HOLDS.replace("cold_burst", "mine.py"), "--out", "runs", "--junit", "a.xml", file="ci/coldstart.toml")
    assert list((tmp_path / "runs").iterdir())
    assert (tmp_path / "a.xml").is_file()


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("wake = 'neo'", "check met: wake: 'neo' is not a wake (allowed: seconds, "),
        ("stack = 'moon'", "check met: Invalid value for '--stack': 'moon' is not one of"),
        ("seed = -1", "check met: Invalid value for '--seed': -1 is not in the range"),
        ("pool = ['5']", "check met: pool: '5' is not a pool (allowed: pool_size+max_overflow"),
        ("warm = 30", "check met: scenario cold_burst: --warm 30 is more than the pool 10+5 can hold"),
        ("stub = 'a'", "check met: run: --stub is about an application of one's own (allowed: with --app)"),
        ("app = 'main:app'", "check met: requests.toml: can't be read: No such file or directory"),
        ("calibration = 'none.json'", "check met: none.json: can't be read: No such file or directory"),
        ("baseline = 'newest'", "check met: baseline: results/runs: no runs yet"),
    ],
)
def test_what_a_check_asks_is_refused_before_anything_is_played(tmp_path: Path, key: str, says: str) -> None:
    name = key.partition(" ")[0]
    kept = "\n".join(line for line in HOLDS.splitlines() if not line.startswith(name))
    with pytest.raises(UserError) as caught:
        checked(f"{MISSED}{kept}\n{key}\n")
    assert str(caught.value).startswith(f"coldstart.toml: {says}")
    assert not (tmp_path / "results").exists()


def test_a_place_that_cant_be_written_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        checked(HOLDS, "--junit", "nowhere/a.xml")
    assert not (tmp_path / "results").exists()


def test_bad_input_is_one_line_and_status_2(tmp_path: Path) -> None:
    def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    for arguments in (
        ["check"],
        ["check", "."],
        ["run", "cold_burst", "--fail-if", "failed"],
        ["compare", "newest", "--fail-if", "failed>1"],
    ):
        done = shell(*arguments)
        assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, ""), done


def test_the_checks_of_this_repository_are_met(tmp_path: Path) -> None:
    done = invoked(check_command, str(ROOT / "coldstart.toml"), "--out", str(tmp_path), "--json")
    assert done.return_value == 0, done.stdout
    document = json.loads(done.stdout)
    assert [check["verdict"] for check in document["checks"]] == ["met"] * 3
    # A file with other verdicts would say something else: these are not met by anything.
    assert all(one["requests"] >= 200 for check in document["checks"] for one in check["objectives"])


RUN = ["cold_burst", "--stack", "simulated", "--requests", "40", "--over", "4", "--wake", "12", "--no-charts"]


def test_a_run_fails_a_build_where_a_condition_holds(tmp_path: Path) -> None:
    pools = ["--pool", "5+0", "--pool", "10+5,connection_timeout=20", "--out", str(tmp_path)]
    done = invoked(run_command, *RUN, *pools, "--fail-if", "failed>1%", "--fail-if", "max>60s")
    assert done.return_value == 4
    (line,) = [line for line in done.stderr.splitlines() if "--fail-if" in line]
    assert re.fullmatch(r"coldstart: --fail-if failed>1%: 5\+0, wake 12 s: it is [\d.]+% \(\d+ of 40\), an .*", line)
    assert invoked(run_command, *RUN, *pools, "--fail-if", "max>60s").return_value == 0
    assert invoked(run_command, *RUN, *pools).return_value == 0


def test_a_comparison_fails_a_build_in_the_same_way_and_names_the_run(tmp_path: Path) -> None:
    pool = ["--pool", "5+0", "--out", str(tmp_path)]
    for wake in ("1", "12"):
        invoked(run_command, *RUN, *pool, "--wake", wake, "--no-control")
    short, long = (str(folder) for folder in sorted(tmp_path.iterdir(), key=lambda folder: folder.stat().st_mtime))
    assert invoked(compare_command, long, "--fail-if", "failed>1%").return_value == 4
    done = invoked(compare_command, short, long, "--json", "--fail-if", "failed>1%")
    assert done.return_value == 4
    assert json.loads(done.stdout)["configurations"]
    named = [line for line in done.stderr.splitlines() if "--fail-if" in line]
    assert all(f"in {Path(short).name}: " in line or f"in {Path(long).name}: " in line for line in named)
    assert invoked(compare_command, long, "--fail-if", "failed>99%").return_value == 0
