"""The one place that starts a process."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.model.errors import StackError
from harness.processes.messages import LoadReady, PoolWarmed, ServiceReady, WarmPool
from harness.processes.process import LINE_LIMIT, Child

pytestmark = pytest.mark.anyio

WARMING = """
import asyncio
from harness.processes.child import commands, emit
from harness.processes.messages import LoadReady, PoolWarmed
async def main():
    emit(LoadReady())
    async for command in commands():
        emit(PoolWarmed(at_s=1.5, connections=len(command.ages_s)))
asyncio.run(main())
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"record":"load_ready"}', flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"record":"service_ready","port":%d}' % child.pid, flush=True)
child.wait()
"""
CHATTY = """
import sys, time
print(sys.argv[1], flush=True)
time.sleep(600)
"""


async def test_a_child_takes_commands_and_gives_records(tmp_path: Path) -> None:
    async with Child.running("warming", [sys.executable, "-c", WARMING], log=tmp_path / "log") as child:
        await child.next_record(LoadReady)
        await child.send(WarmPool(ages_s=(0.0,) * 7))
        assert await child.next_record(PoolWarmed) == PoolWarmed(at_s=1.5, connections=7)


async def test_the_end_of_stdin_ends_it(tmp_path: Path) -> None:
    child = await Child.start("warming", [sys.executable, "-c", WARMING], log=tmp_path / "log")
    await child.next_record(LoadReady)
    assert await child.stop() == 0


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = await Child.start("stubborn", [sys.executable, "-c", STUBBORN], log=tmp_path / "log")
    await child.next_record(LoadReady)
    assert await child.stop(grace_s=0.2) == -signal.SIGKILL


async def test_what_it_started_itself_goes_with_it(tmp_path: Path) -> None:
    child = await Child.start("parent", [sys.executable, "-c", PARENT], log=tmp_path / "log")
    # Its id, in the only record with a number.
    grandchild = psutil.Process((await child.next_record(ServiceReady)).port)
    await child.stop(grace_s=0.2)
    grandchild.wait(timeout=5)


async def test_a_death_says_how_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    code = "import sys; print('first', file=sys.stderr); sys.exit('no such file')"
    child = await Child.start("loser", [sys.executable, "-c", code], log=tmp_path / "log")
    with pytest.raises(StackError, match=r"loser: ended with status 1: no such file \(log: .*log\)"):
        await child.next_record(LoadReady)
    await child.stop()


async def test_a_killed_one_is_named_by_its_signal_while_it_is_watched(tmp_path: Path) -> None:
    async with Child.running("warming", [sys.executable, "-c", WARMING], log=tmp_path / "log") as child:
        await child.next_record(LoadReady)
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(StackError, match="warming: was killed by SIGKILL"):
            await child.watch()


async def test_what_was_killed_from_outside_is_not_explained_by_a_line_of_its_log(tmp_path: Path) -> None:
    code = "import os, sys, signal; print('all is well', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
    child = await Child.start("victim", [sys.executable, "-c", code], log=tmp_path / "log")
    assert str(await child.died()) == f"victim: was killed by SIGKILL (log: {tmp_path / 'log'})"
    await child.stop()


async def test_what_crashes_is_explained_by_its_last_line(tmp_path: Path) -> None:
    # Without a core file: this crash is wanted.
    code = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
        "print('double free', file=sys.stderr, flush=True); os.abort()"
    )
    child = await Child.start("victim", [sys.executable, "-c", code], log=tmp_path / "log")
    assert str(await child.died()) == f"victim: was killed by SIGABRT: double free (log: {tmp_path / 'log'})"
    await child.stop()


async def test_its_own_reason_is_found_among_the_lines_of_what_it_had_started(tmp_path: Path) -> None:
    code = """
import sys
from harness.model.errors import StackError
from harness.processes.child import explain
status = explain(StackError("victim", "the server was\\nkilled by SIGKILL"))
print("FATAL:  terminating connection due to unexpected postmaster exit", file=sys.stderr, flush=True)
sys.exit(status)
"""
    child = await Child.start("victim", [sys.executable, "-c", code], log=tmp_path / "log")
    said = f"victim: ended with status 1: the server was killed by SIGKILL (log: {tmp_path / 'log'})"
    assert str(await child.died()) == said
    await child.stop()


async def test_an_error_of_a_stack_is_told_as_the_death_of_who_answers_for_it(tmp_path: Path) -> None:
    async def failing(child: Child) -> None:
        async with child.answerable():
            raise StackError("database", "can't be reached")

    async with Child.running("warming", [sys.executable, "-c", WARMING], log=tmp_path / "log") as child:
        await child.next_record(LoadReady)
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(StackError, match="warming: was killed by SIGKILL") as raised:
            await failing(child)
        assert str(raised.value.__cause__) == "database: can't be reached"


NO_RECORDS = {
    "no JSON": "Welcome to my application",
    "not an object": "[1, 2]",
    "nameless": '{"port": 1}',
    "unknown": '{"record": "goodbye"}',
    "incomplete": '{"record": "service_ready"}',
    "of a wrong type": '{"record": "service_ready", "port": "80"}',
    "with too much": '{"record": "load_ready", "port": 80}',
}


@pytest.mark.parametrize("line", NO_RECORDS.values(), ids=NO_RECORDS.keys())
async def test_a_line_that_is_no_record_fails_at_once_while_its_writer_lives(tmp_path: Path, line: str) -> None:
    argv = [sys.executable, "-c", CHATTY, line]
    async with Child.running("chatty", argv, log=tmp_path / "log", grace_s=0.1) as child:
        with pytest.raises(StackError) as raised:
            await asyncio.wait_for(child.next_record(LoadReady), 30)
        assert psutil.pid_exists(child.pid)
    assert str(raised.value).startswith(f"chatty: wrote a line that is not a record: {line!r}: ")
    assert str(raised.value).endswith(f"(log: {tmp_path / 'log'})")


async def test_whoever_only_watches_or_reads_on_is_told_of_such_a_line_too(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CHATTY, '{"record":"load_ready"}\nOops']
    async with Child.running("chatty", argv, log=tmp_path / "log", grace_s=0.1) as child:
        with pytest.raises(StackError, match="chatty: wrote a line that is not a record: 'Oops'"):
            await asyncio.wait_for(child.watch(), 30)
        records = child.records()
        assert await anext(records) == LoadReady()
        with pytest.raises(StackError, match="'Oops'"):
            await anext(records)


async def test_a_long_line_is_shown_shortened(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CHATTY, 5000 * "x"]
    async with Child.running("chatty", argv, log=tmp_path / "log", grace_s=0.1) as child:
        with pytest.raises(StackError, match=r"'x{120}…'"):
            await asyncio.wait_for(child.next_record(LoadReady), 30)


async def test_a_line_without_end_fails_too_and_its_writer_still_ends_when_asked(tmp_path: Path) -> None:
    code = f"import sys; sys.stdout.write('x' * {3 * LINE_LIMIT}); sys.stdout.flush(); sys.stdin.read()"
    child = await Child.start("endless", [sys.executable, "-c", code], log=tmp_path / "log")
    with pytest.raises(StackError, match=f"a line of more than {LINE_LIMIT} bytes"):
        await asyncio.wait_for(child.next_record(LoadReady), 30)
    assert await child.stop(grace_s=30) == 0


async def test_a_record_that_nobody_waits_for_is_named_without_what_it_carries(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CHATTY, '{"record":"burst_finished","at_s":12345}']
    async with Child.running("early", argv, log=tmp_path / "log", grace_s=0.1) as child:
        with pytest.raises(StackError, match="early: wrote BurstFinished, which nobody waits for") as raised:
            await asyncio.wait_for(child.next_record(LoadReady), 30)
        assert "12345" not in str(raised.value).replace(str(tmp_path), "")


async def test_a_command_that_is_none_ends_the_child_with_the_reason_in_its_log(tmp_path: Path) -> None:
    async with Child.running("warming", [sys.executable, "-c", WARMING], log=tmp_path / "log") as child:
        await child.next_record(LoadReady)
        assert child._process.stdin is not None
        child._process.stdin.write(b'{"command": "dance"}\n')
        with pytest.raises(StackError, match=r"warming: ended with status 1: .*Invalid value 'dance'"):
            await child.next_record(PoolWarmed)


async def test_a_program_that_is_not_there_is_a_stack_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="could not start"):
        await Child.start("nothing", [str(tmp_path / "missing")], log=tmp_path / "log")


def test_kill_9_of_the_parent_takes_its_children_down(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from harness.processes.messages import LoadReady
from harness.processes.process import Child
async def main():
    child = await Child.start("warming", [sys.executable, "-c", {WARMING!r}], log=Path({str(tmp_path / "log")!r}))
    await child.next_record(LoadReady)
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
