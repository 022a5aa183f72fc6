"""Ctrl-C, SIGTERM and SIGHUP at every moment of a command: one line, exit status 130, and a run with its status."""

import asyncio
import importlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from harness.analysis import load
from harness.model.status import RunStatus
from harness.processes.cancelling import run_async
from harness.processes.interruption import held, interruptible, terminable
from harness.results import find_run

AT_AN_IMPORT = """
import importlib.abc, os, signal, sys
module, number, sys.argv = sys.argv[1], int(sys.argv[2]), ["coldstart", *sys.argv[3:]]
class Interrupting(importlib.abc.MetaPathFinder):
    came = False
    def find_spec(self, name, path=None, target=None):
        if name == module and not self.came:
            Interrupting.came = True
            os.kill(os.getpid(), number)
        return None
finder = Interrupting()
import harness
sys.meta_path.insert(0, finder)
sys.path.insert(0, os.getcwd())
from harness.__main__ import main
main()
"""
SIMULATED = [
    "run",
    "cold_burst",
    "--stack",
    "simulated",
    "--pool",
    "2+0",
    "--wake",
    "1",
    "--requests",
    "5",
    "--over",
    "1",
]
IMPORTED = ("click", "harness.cli.run", "harness.run", "numpy", "pandas", "pyarrow.lib")
LOSES_IT = "try:\n    import loser_inside\nexcept BaseException:\n    pass\n"
LATE = """
import os, signal, sys, time
number, sys.argv = int(sys.argv[1]), ["coldstart", *sys.argv[2:]]
from harness.results.writer import RunWriter
close = RunWriter.close
def closing(self, status):
    os.kill(os.getpid(), number)
    time.sleep(0.01)
    close(self, status)
RunWriter.close = closing
from harness.__main__ import main
main()
"""


AFTER_A_TRIAL = """
import os, signal, sys
number, sys.argv = int(sys.argv[1]), ["coldstart", *sys.argv[2:]]
from harness.results.writer import RunWriter
ended = RunWriter.trial_ended
def ending(self, trial, *, wall_s):
    ended(self, trial, wall_s=wall_s)
    os.kill(os.getpid(), number)
RunWriter.trial_ended = ending
from harness.__main__ import main
main()
"""
IGNORING = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def coldstart(code: str, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=100, cwd=cwd
    )


@pytest.mark.parametrize("module", IMPORTED)
def test_ctrl_c_while_something_is_imported_is_one_line_and_130(tmp_path: Path, module: str) -> None:
    done = coldstart(AT_AN_IMPORT, module, f"{int(signal.SIGINT)}", *SIMULATED, "--out", f"{tmp_path}", cwd=tmp_path)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    # Some are imported only as the results are made, and a run that had begun by then is kept.
    kept = {load(path.parent).manifest.status for path in tmp_path.glob("*/manifest.json")}
    assert kept <= {RunStatus.COMPLETE, RunStatus.ABORTED}
    assert RunStatus.ABORTED in kept or done.stderr.splitlines()[-1] == "coldstart: interrupted"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_are_heard_as_early(tmp_path: Path, how: signal.Signals) -> None:
    done = coldstart(AT_AN_IMPORT, "click", f"{int(how)}", "list", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "coldstart: interrupted\n")


def test_what_was_started_with_ctrl_c_ignored_goes_on(tmp_path: Path) -> None:
    done = coldstart(IGNORING + AT_AN_IMPORT, "click", f"{int(signal.SIGINT)}", "list", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("module", ["click", "numpy"])
def test_what_was_started_with_ctrl_c_ignored_still_ends_as_it_is_asked_to(
    tmp_path: Path, how: signal.Signals, module: str
) -> None:
    code = IGNORING + AT_AN_IMPORT
    done = coldstart(code, module, f"{int(how)}", *SIMULATED, "--no-charts", "--out", f"{tmp_path}", cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (130, False)


@pytest.mark.parametrize("before", ["", IGNORING], ids=["terminal", "script"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_a_run_keeps_what_has_ended(tmp_path: Path, how: signal.Signals, before: str) -> None:
    code = before + AFTER_A_TRIAL
    done = coldstart(code, f"{int(how)}", *SIMULATED, "--no-charts", "--out", f"{tmp_path}", cwd=tmp_path)
    run = load(find_run(runs=tmp_path))
    if before and how is signal.SIGINT:
        assert (done.returncode, run.manifest.status) == (0, RunStatus.COMPLETE)
        return
    assert (done.returncode, run.manifest.status) == (130, RunStatus.ABORTED)
    assert len(run.manifest.ended) == 1
    assert f"The run was aborted: what follows is what was played until then.\n`coldstart resume {run.folder}`" in (
        done.stdout
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_run_is_closed_leaves_it_whole_and_is_not_swallowed(
    tmp_path: Path, how: signal.Signals
) -> None:
    done = coldstart(LATE, f"{int(how)}", *SIMULATED, "--no-charts", "--out", f"{tmp_path}", cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "coldstart: interrupted"
    run = load(find_run(runs=tmp_path))
    assert run.manifest.status is RunStatus.COMPLETE
    assert len(run.requests) == 10


@contextmanager
def handlers() -> Iterator[None]:
    """The test's own, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_module_that_loses_exceptions_as_it_is_imported_does_not_lose_a_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loser.py").write_text(LOSES_IT)
    (tmp_path / "loser_inside.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    monkeypatch.syspath_prepend(tmp_path)
    imported: list[ModuleType] = []

    def importing() -> None:
        imported.append(importlib.import_module("loser"))
        time.sleep(5)

    began_s = time.monotonic()
    with handlers(), pytest.raises(KeyboardInterrupt), interruptible():
        importing()
    assert imported, "the import was cut short"
    assert time.monotonic() - began_s < 4, "what waited was not interrupted"


def test_in_a_coroutine_ctrl_c_is_one_cancellation() -> None:
    ended: list[str] = []

    async def waiting() -> None:
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGTERM)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            # A second one does not cut short what is tidied up.
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
            ended.append("in order")
            raise

    with handlers(), pytest.raises(KeyboardInterrupt), interruptible():
        run_async(waiting())
    assert ended == ["in order"]


def test_a_callback_of_the_loop_that_gets_no_memory_ends_the_command_and_what_is_open_is_closed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ended: list[str] = []

    async def waiting() -> None:
        loop = asyncio.get_running_loop()

        def reads() -> None:
            # As asyncio does where a pipe's bytes find no place: it is called again as long as there are any.
            loop.call_soon(reads)
            raise MemoryError

        loop.call_later(0.01, reads)
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0.05)
            ended.append("in order")

    with pytest.raises(MemoryError):
        run_async(waiting())
    assert ended == ["in order"]
    assert capfd.readouterr().err == ""


def test_a_process_is_waited_for_without_a_thread() -> None:
    async def running() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(0.2)")
        threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        assert threads == []
        return await process.wait()

    assert run_async(running()) == 0
    # Whoever uses asyncio in this process afterwards waits as before, in loops that this one knows nothing of too.
    loop = asyncio.new_event_loop()
    try:
        process = loop.run_until_complete(asyncio.create_subprocess_exec(sys.executable, "-c", ""))
        assert loop.run_until_complete(process.wait()) == 0
    finally:
        loop.close()


def test_what_is_held_back_acts_once_it_may() -> None:
    done: list[int] = []

    def in_one_piece() -> None:
        with terminable(), held():
            signal.raise_signal(signal.SIGTERM)
            done.append(1)

    with handlers(), pytest.raises(KeyboardInterrupt):
        in_one_piece()
    assert done == [1]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
