"""What is printed survives every terminal: one without our signs, one that nobody reads, a full one, a narrow one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SAMPLE = str(ROOT / "results" / "sample" / "simulated")
PLAYED = ["--stack", "simulated", "--no-charts"]
SMALL = ["--pool", "5+0", "--pool", "10+5", "--wake", "4", "--requests", "40", "--over", "2"]
POORER = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
COMMANDS = {
    "run": ["run", "cold_burst", *PLAYED, *SMALL],
    "sweep": ["sweep", "cold_burst", "--pool-size", "5", "--max-overflow", "0", "--wake", "12", "--no-charts"],
    "compare": ["compare", SAMPLE],
    "compare --markdown": ["compare", SAMPLE, "--markdown"],
    "runs": ["runs", "--out", str(Path(SAMPLE).parent)],
    "list": ["list"],
    "doctor": ["doctor"],
}
KEEPS_A_RUN = {"run", "sweep"}


def arguments(command: str, out: Path) -> list[str]:
    return [*COMMANDS[command], *(["--out", str(out)] if command in KEEPS_A_RUN else [])]


def coldstart(
    command: list[str], *, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *command],
        stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=100, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("encoding", POORER)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_encoding_without_our_signs_loses_no_result(tmp_path: Path, command: str, encoding: str) -> None:
    done = coldstart(arguments(command, tmp_path), **POORER[encoding])
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert len(done.stdout.splitlines()) > 3
    done.stdout.decode("latin-1" if encoding == "latin-1" else "ascii")


def test_a_bullet_and_a_dash_have_stand_ins(tmp_path: Path) -> None:
    printed = coldstart(arguments("compare", tmp_path), **POORER["ascii"]).stdout.decode("ascii")
    assert "\n* " in printed
    assert re.search(r"\d-\d", printed)
    assert "?" not in printed


@pytest.mark.parametrize("encoding", POORER)
def test_what_is_written_to_files_is_utf_8_everywhere(tmp_path: Path, encoding: str) -> None:
    coldstart(arguments("run", tmp_path), **POORER[encoding])
    (folder,) = tmp_path.iterdir()
    for command in ("report", "postmortem"):
        done = coldstart([command, str(folder)], **POORER[encoding])
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
        (folder / f"{command}.{'html' if command == 'report' else 'md'}").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_reading_on_changes_neither_the_status_nor_stderr(tmp_path: Path, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = coldstart(arguments(command, tmp_path), stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", ["run", "list", "compare"])
def test_a_full_standard_output_is_one_line_and_status_3(tmp_path: Path, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = coldstart(arguments(command, tmp_path), stdout=full.fileno())
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == b"coldstart: standard output: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_closed_standard_output_is_nobody_reading(tmp_path: Path) -> None:
    shell = f'"{sys.executable}" -m harness list >&- 2>"{tmp_path}/stderr"'
    done = subprocess.run(["/bin/sh", "-c", shell], check=False, timeout=60, cwd=ROOT)
    assert (done.returncode, (tmp_path / "stderr").read_text()) == (0, "")


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("scenario", ["incident_2025_12_02", "incident_2025_11_17", "retry_storm", "cold_burst"])
def test_no_name_and_no_number_is_cut_off_at_any_width(tmp_path: Path, scenario: str, columns: int) -> None:
    run = ["run", scenario, *PLAYED, "--out", str(tmp_path)]
    printed = coldstart(run, COLUMNS=str(columns)).stdout.decode()
    (folder,) = tmp_path.iterdir()
    names = {"run": printed, "compare": coldstart(["compare", str(folder)], COLUMNS=str(columns)).stdout.decode()}
    for command, text in names.items():
        assert "…" not in text, command
        lines = [line for line in text.splitlines() if str(folder) not in line and folder.name not in line]
        assert max(map(len, lines)) <= columns, command
        for word in ("5+0", "pool_timeout=30", "connection_timeout=0", "backoff", "jitter", "listener"):
            if word in NAMED[scenario]:
                assert word in re.split(r"[\s,()]+", text), (command, word)
        assert re.search(r"\bwake\s+[\d.]+\s+s|\d+\s+s,", text), command


NAMED = {
    "incident_2025_12_02": {"5+0", "pool_timeout=30", "connection_timeout=0"},
    "incident_2025_11_17": {"5+0", "connection_timeout=0", "listener"},
    "retry_storm": {"backoff", "jitter"},
    "cold_burst": {"5+0", "pool_timeout=30"},
}


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("command", ["list", "runs", "doctor", "sweep"])
def test_every_other_table_fits_too(tmp_path: Path, command: str, columns: int) -> None:
    printed = coldstart(arguments(command, tmp_path), COLUMNS=str(columns)).stdout.decode()
    assert "…" not in printed
    assert max(len(line) for line in printed.splitlines() if str(tmp_path) not in line) <= columns
