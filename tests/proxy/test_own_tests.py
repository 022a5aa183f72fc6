"""Toxiproxy's own tests of its API, unchanged, against our server, wherever Go is.

They are written in Go and start their server in their own process. Here its root package is replaced by one that
speaks to ours (own_tests/server.go); the tests and the client they use are copied from Go's module cache each time.
"""

import asyncio
import fcntl
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.processes.messages import ProxyReady
from harness.processes.process import Child

pytestmark = pytest.mark.anyio

MODULE = "github.com/Shopify/toxiproxy/v2@v2.12.0"
PORT = 8475
"""Written into the tests, as are the ports of their proxies."""
OURS_ANSWERS_OTHERWISE = {"TestVersionEndpointReturnsVersion"}
"""It expects the version `git`, which ours is not."""
TESTS = 34
LIMIT_S = 400.0
SOURCES = Path(__file__).parent / "own_tests"


def run(argv: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=LIMIT_S)


def toxiproxy_module() -> Path:
    """Toxiproxy's source in Go's module cache, which fetches it if need be."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Toxiproxy's own tests need Go")
    with tempfile.TemporaryDirectory() as outside_any_module:
        done = run([go, "mod", "download", "-json", MODULE], Path(outside_any_module))
    found = json.loads(done.stdout or "{}")
    if "Dir" not in found:
        pytest.skip(f"Toxiproxy's own tests need its module: {found.get('Error', done.stderr.strip())}")
    return Path(found["Dir"])


def copied(module: Path, to: Path) -> None:
    """The tests, their client, and our package in place of the one they are about."""
    to.mkdir()
    (to / "client").mkdir()
    client = [path for path in (module / "client").glob("*.go") if not path.name.endswith("_test.go")]
    files = [*(module / name for name in ("api_test.go", "go.mod", "go.sum")), *SOURCES.glob("*.go")]
    # Not copy2: the module cache is read-only, and the copies must be removable.
    for path in files:
        shutil.copyfile(path, to / path.name)
    for path in client:
        shutil.copyfile(path, to / "client" / path.name)


@contextmanager
def alone_on_the_ports() -> Iterator[None]:
    """Two checkouts on one machine run these tests one after the other."""
    with (Path(tempfile.gettempdir()) / f"coldstart-own-tests-{PORT}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.timeout(LIMIT_S + 60)
async def test_toxiproxys_own_tests_of_its_api_pass(tmp_path: Path) -> None:
    copied(toxiproxy_module(), tmp_path / "module")
    argv = ["go", "test", "-mod=mod", "-v", "-count=1", f"-timeout={LIMIT_S / 2:.0f}s", "."]
    with alone_on_the_ports():
        server = [sys.executable, "-m", "harness.proxy", str(PORT)]
        async with Child.running("toxiproxy", server, log=tmp_path / "log") as child:
            await child.next_record(ProxyReady)
            done = await asyncio.to_thread(run, argv, tmp_path / "module")
    results = {name: result for result, name in re.findall(r"^--- (PASS|FAIL): (\w+)", done.stdout, re.MULTILINE)}
    failed = {name for name, result in results.items() if result == "FAIL"}
    assert len(results) == TESTS, done.stdout + done.stderr
    assert failed == OURS_ANSWERS_OTHERWISE, done.stdout
    assert (tmp_path / "log").read_text() == ""
