"""What a machine runs out of (disk, files, memory, loopback): one line, status 3, and a run that can be read."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.analysis import load
from harness.cli.exhausted import exhausted
from harness.model.errors import StackError
from harness.model.status import RunStatus
from harness.postgres.administering import administering
from harness.results import find_run
from harness.results.lock import LOCK

SIMULATED = ["run", "cold_burst", "--stack", "simulated", "--no-charts", "--pool", "2+0", "--wake", "1"]
MANY = ["--requests", "300", "--over", "20", "--repeat", "12", "--no-control"]
LIMITED = """
import resource, sys
resource.setrlimit(getattr(resource, sys.argv[1]), (int(sys.argv[2]),) * 2)
from harness.__main__ import main
sys.argv = ["coldstart", *sys.argv[3:]]
main()
"""


def coldstart(*arguments: str, code: str = "", prefix: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    program = ["-c", code] if code else ["-m", "harness"]
    return subprocess.run(
        [*prefix, sys.executable, *program, *arguments], capture_output=True, text=True, check=False, timeout=110
    )


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_line_and_every_command_lives_with_such_a_run(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "600k") as disk:
        done = coldstart(*SIMULATED, *MANY, "--out", f"{disk}")
        a_full_disk(done, disk)
        folder = find_run(runs=disk)
        for command, statuses in ((["report", f"{folder}"], {0, 3}), (["compare", f"{folder}"], {0})):
            done = coldstart(*command)
            assert done.returncode in statuses, done.stderr
            assert "Traceback" not in done.stderr
        done = coldstart("runs", "--out", f"{disk}")
        assert (done.returncode, "failed" in done.stdout) == (0, True)


def test_a_limit_of_a_file_s_size_is_a_full_disk(tmp_path: Path) -> None:
    done = coldstart("RLIMIT_FSIZE", "200000", *SIMULATED, *MANY, "--out", f"{tmp_path}", code=LIMITED)
    a_full_disk(done, tmp_path)


def a_full_disk(done: "subprocess.CompletedProcess[str]", out: Path) -> None:
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith("coldstart: ")
    assert "No space left" in last or "File too large" in last
    assert "Traceback" not in done.stderr
    run = load(find_run(runs=out))
    assert run.manifest.status is RunStatus.FAILED
    assert len(run.requests) + len(run.pool) > 0
    assert not (run.folder / LOCK).exists()


@pytest.mark.parametrize("files", ["9", "12"])
def test_no_more_files_is_one_line(tmp_path: Path, files: str) -> None:
    done = coldstart("RLIMIT_NOFILE", files, *SIMULATED, "--requests", "5", "--out", f"{tmp_path}", code=LIMITED)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "open files" in done.stderr.splitlines()[-1]


def test_little_memory_is_one_line(tmp_path: Path) -> None:
    # With less than about 150 MB numpy's OpenBLAS ends the process with words of its own.
    done = coldstart("RLIMIT_AS", "200000000", *SIMULATED, "--requests", "5", "--out", f"{tmp_path}", code=LIMITED)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("coldstart: ")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a network of its own needs root")
def test_loopback_down_is_one_line(tmp_path: Path) -> None:
    embedded = ["run", "cold_burst", "--stack", "embedded", "--no-charts", "--pool", "2+0", "--requests", "5"]
    done = coldstart(*embedded, "--out", f"{tmp_path}", prefix=("unshare", "-n"))
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("coldstart: postgres: can't be worked on: ")
    assert load(find_run(runs=tmp_path)).manifest.status is RunStatus.FAILED


def test_a_server_without_a_place_or_that_cannot_be_reached_is_an_error_of_the_stack() -> None:
    async def ask() -> None:
        async with administering("postgresql://somebody:secret@127.0.0.1:1/none"):
            pass

    with pytest.raises(StackError, match=r"^can't be worked on: .*refused|Connect call failed") as raised:
        asyncio.run(ask())
    assert "secret" not in str(raised.value)


def test_what_is_lacking_is_found_in_causes_and_groups_and_nothing_else_is() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/there")
    caused = KeyError("key")
    caused.__cause__ = full
    assert exhausted(ExceptionGroup("of tasks", [caused])) == "this machine: the disk is full (/there)"
    assert exhausted(MemoryError()) == "this machine: out of memory"
    assert exhausted(SystemError("error return without exception set")) == "this machine: out of memory"
    assert exhausted(SystemError("bad argument to internal function")) is None
    assert exhausted(RuntimeError("can't start new thread")) == (
        "this machine: no more processes or threads can be started: raise the limit (ulimit -u)"
    )
    assert exhausted(ImportError("libz.so: failed to map segment from shared object")) == "this machine: out of memory"
    # A bug stays one, also where it was met while something of this kind was dealt with.
    bug = KeyError("key")
    bug.__context__ = full
    for error in (bug, FileNotFoundError(errno.ENOENT, "No such file"), RuntimeError("can't"), ImportError("no x")):
        assert exhausted(error) is None
