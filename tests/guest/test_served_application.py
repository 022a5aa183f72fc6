"""An application in a process of its own: what its process says to the harness, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from harness.model.errors import StackError
from harness.postgres import PostgresServer
from harness.processes.messages import (
    CpuReported,
    PoolRefused,
    PoolReplaced,
    PoolSampled,
    PoolWarmed,
    ReplacePool,
    ReportCpu,
    ServiceReady,
    WarmPool,
)
from harness.processes.process import Child
from tests.guest.started import APPLICATION, ENTRY, environment_for, started

pytestmark = pytest.mark.anyio

NO_DATABASE = PostgresServer(host="127.0.0.1", port=1, user="u", database="d", version="", password="p")
PLAIN = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""


async def answer_to(child: Child, kind: type) -> object:
    """The next record of this kind; samples of the pool may come in between."""
    async with asyncio.timeout(30):
        async for record in child.records():
            if isinstance(record, kind):
                return record
            assert isinstance(record, PoolSampled), record
    raise AssertionError("its records ended")


async def test_it_serves_is_warmed_and_tells_its_pool(tmp_path: Path, postgres: PostgresServer) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    async with started(tmp_path, environment_for(postgres)) as child:
        port = (await child.next_record(ServiceReady)).port
        await child.send(WarmPool(ages_s=(0.0, 0.0)))
        warmed = await answer_to(child, PoolWarmed)
        assert isinstance(warmed, PoolWarmed)
        assert warmed.connections == 2
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            answer = await client.get("/items/7")
        assert answer.json() == {"item": 7}
        assert "checkout;dur=" in answer.headers["server-timing"]
        await child.send(ReplacePool())
        assert await answer_to(child, PoolReplaced) == PoolReplaced()
        await child.send(ReportCpu())
        used = await answer_to(child, CpuReported)
        assert isinstance(used, CpuReported)
        assert used.cpu_s > 0.1
        # The warm-up and the request had connections, and importing it all had not.
        assert used.checked_out_at_cpu_s is not None
        assert 0 < used.held_cpu_s < used.cpu_s - used.checked_out_at_cpu_s < used.cpu_s
        sample = await answer_to(child, PoolSampled)
        assert isinstance(sample, PoolSampled)
        assert (sample.sample.size, sample.sample.connects) == (0, 2)
        assert await child.stop() == 0


async def test_an_application_without_an_engine_is_refused_when_it_is_warmed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN)
    async with started(tmp_path, environment_for(NO_DATABASE)) as child:
        await child.next_record(ServiceReady)
        await child.send(WarmPool(ages_s=(0.0,)))
        refused = await child.next_record(PoolRefused)
    assert refused.what == "it has made no engine of SQLAlchemy whose URL leads to the trial's database"


async def test_what_it_prints_goes_to_the_log_and_what_it_reads_is_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import os, subprocess, sys\n"
        "print('a line of its own')\n"
        """print('{"record":"service_ready","port":1}', flush=True)\n"""
        "os.write(1, b'past all buffers\\n')\n"
        "subprocess.run(['echo', 'of its child'], check=True)\n"
        "print('read:', repr(sys.stdin.read()), repr(os.read(0, 10)))\n" + PLAIN
    )
    async with started(tmp_path, environment_for(NO_DATABASE)) as child:
        assert (await child.next_record(ServiceReady)).port > 1024
        await child.send(ReportCpu())
        assert (await child.next_record(CpuReported)).cpu_s > 0
        assert await child.stop() == 0
    log = (tmp_path / "log").read_text()
    for said in ("a line of its own", '"port":1}', "past all buffers", "of its child", "read: '' b''"):
        assert said in log


CANT_START = {
    "importing it failed: RuntimeError: first second": "print('printed')\nraise RuntimeError('first\\nsecond')\n",
    "its startup failed; its own words are above in this log": (
        PLAIN.replace("startup.complete", "startup.failed") + "print('printed')\n"
    ),
}


@pytest.mark.parametrize("says", CANT_START)
async def test_one_that_cant_start_ends_with_a_line_and_its_own_words_above(tmp_path: Path, says: str) -> None:
    (tmp_path / "main.py").write_text(CANT_START[says])
    async with started(tmp_path, environment_for(NO_DATABASE)) as child:
        with pytest.raises(StackError) as caught:
            await child.next_record(ServiceReady)
    assert str(caught.value) == f"application: ended with status 1: main:app: {says} (log: {tmp_path / 'log'})"
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[-1] == f"main:app: {says}"
    assert "printed" in lines[:-1]


STUCK = {
    "serving": PLAIN,
    "importing": "import pathlib, time\npathlib.Path('stuck').touch()\ntime.sleep(600)\n",
    "starting": """
import asyncio, pathlib
async def app(scope, receive, send):
    pathlib.Path('stuck').touch()
    await asyncio.sleep(600)
""",
    "blocking its loop": """
import pathlib, time
async def app(scope, receive, send):
    pathlib.Path('stuck').touch()
    time.sleep(600)
""",
}
PARENT = """
import subprocess, sys
entry, folder, doing = sys.argv[1:]
argv = [sys.executable, entry, "serve"]
child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
print(child.pid, flush=True)
if doing == "serving":
    assert b"service_ready" in child.stdout.readline()
    open(folder + "/stuck", "w").close()
child.wait()
"""


def killed_parent(folder: Path, doing: str) -> tuple["subprocess.Popen[bytes]", psutil.Process]:
    """A parent that is there to be killed, and its child."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, ENTRY, str(folder), doing],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **environment_for(NO_DATABASE)},
    )  # fmt: skip
    assert parent.stdout is not None
    with parent.stdout:
        return parent, psutil.Process(int(parent.stdout.readline()))


@pytest.mark.parametrize("doing", STUCK)
async def test_it_ends_when_its_parent_is_killed_whatever_it_is_doing(tmp_path: Path, doing: str) -> None:
    (tmp_path / "main.py").write_text(STUCK[doing])
    parent, child = killed_parent(tmp_path, doing)
    try:
        async with asyncio.timeout(30):
            while not (tmp_path / "stuck").exists():
                assert parent.poll() is None
                await asyncio.sleep(0.02)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        try:
            await asyncio.to_thread(child.wait, 10)
        except psutil.TimeoutExpired:
            pytest.fail("it lives on")
    finally:
        parent.kill()
        parent.wait()
        if child.is_running():
            child.kill()


async def test_an_end_that_its_parent_wants_is_quick_while_it_imports(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(STUCK["importing"])
    async with started(tmp_path, environment_for(NO_DATABASE)) as child:
        async with asyncio.timeout(30):
            while not (tmp_path / "stuck").exists():
                await asyncio.sleep(0.02)
        began_s = asyncio.get_running_loop().time()
        assert await child.stop() == 0
        assert asyncio.get_running_loop().time() - began_s < 3


async def test_only_variables_with_the_projects_prefix_are_added_to_its_environment(tmp_path: Path) -> None:
    environment = environment_for(NO_DATABASE)
    assert {name for name in environment if name != "DATABASE_URL"} == {"COLDSTART_GUEST"}
    assert "p@" not in json.dumps(environment["COLDSTART_GUEST"])
