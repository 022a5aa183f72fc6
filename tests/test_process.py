"""The one place that starts a process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.model.errors import StackError
from harness.processes.process import Child

pytestmark = pytest.mark.anyio

ECHO = """
import asyncio, sys
from harness.processes.child import commands, emit
async def main():
    emit({"record": "ready"})
    async for command in commands():
        emit({"record": "echo", **command})
asyncio.run(main())
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"record":"ready"}', flush=True)
time.sleep(600)
"""
PARENT = """
import json, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"record": "grandchild", "pid": child.pid}), flush=True)
child.wait()
"""


async def test_a_child_takes_commands_and_gives_records(tmp_path: Path) -> None:
    async with Child.running("echo", [sys.executable, "-c", ECHO], log=tmp_path / "log") as child:
        await child.next_record("ready")
        await child.send({"number": 7})
        assert (await child.next_record("echo"))["number"] == 7


async def test_the_end_of_stdin_ends_it(tmp_path: Path) -> None:
    child = await Child.start("echo", [sys.executable, "-c", ECHO], log=tmp_path / "log")
    await child.next_record("ready")
    assert await child.stop() == 0


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = await Child.start("stubborn", [sys.executable, "-c", STUBBORN], log=tmp_path / "log")
    await child.next_record("ready")
    assert await child.stop(grace_s=0.2) == -signal.SIGKILL


async def test_what_it_started_itself_goes_with_it(tmp_path: Path) -> None:
    child = await Child.start("parent", [sys.executable, "-c", PARENT], log=tmp_path / "log")
    grandchild = psutil.Process((await child.next_record("grandchild"))["pid"])
    await child.stop(grace_s=0.2)
    grandchild.wait(timeout=5)


async def test_a_death_says_how_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    code = "import sys; print('first', file=sys.stderr); sys.exit('no such file')"
    child = await Child.start("loser", [sys.executable, "-c", code], log=tmp_path / "log")
    with pytest.raises(StackError, match=r"loser: ended with status 1: no such file \(log: .*log\)"):
        await child.next_record("ready")
    await child.stop()


async def test_a_killed_one_is_named_by_its_signal_while_it_is_watched(tmp_path: Path) -> None:
    async with Child.running("echo", [sys.executable, "-c", ECHO], log=tmp_path / "log") as child:
        await child.next_record("ready")
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(StackError, match="echo: was killed by SIGKILL"):
            await child.watch()


async def test_a_program_that_is_not_there_is_a_stack_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="could not start"):
        await Child.start("nothing", [str(tmp_path / "missing")], log=tmp_path / "log")


def test_kill_9_of_the_parent_takes_its_children_down(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from harness.processes.process import Child
async def main():
    child = await Child.start("echo", [sys.executable, "-c", {ECHO!r}], log=Path({str(tmp_path / "log")!r}))
    await child.next_record("ready")
    print(child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(timeout=10)
