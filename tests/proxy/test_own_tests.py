"""Toxiproxy's own tests that need no more than a server, unchanged, against ours, wherever Go is.

They are written in Go and start their server and their proxies in their own process. Here Toxiproxy's root package is
replaced by one that asks ours for them (own_tests); the tests and what they use are copied from Go's module cache each
time. Left out are the tests of what has no server in it: the Go client's headers, the channels between Go's toxics,
and the toxics that are piped by hand (limit_data, slicer), whose behaviour tests/proxy/test_toxics.py has.
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
ROOT_TESTS = ("api_test.go", "proxy_test.go", "proxy_collection_test.go", "toxiproxy_test.go")
TOXIC_TESTS = ("bandwidth_test.go", "latency_test.go", "reset_peer_test.go", "timeout_test.go", "toxic_test.go")
LIBRARIES = ("client", "collectors", "stream", "testhelper", "toxics")
"""What the tests use, and is no server: Go's own toxics are there for their names and attributes."""
OURS_ANSWERS_OTHERWISE = {"TestVersionEndpointReturnsVersion"}
"""It expects the version `git`, which ours is not."""
NO_SERVER = "TestToxicStub_WriteOutput"
TRIES = 3
"""The toxics' tests allow 10 ms: one that something else on the machine held up is played again."""
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
    """The tests, what they use, and our package in place of the one they are about."""
    libraries = [path for name in LIBRARIES for path in (module / name).glob("*.go")]
    files = {
        **{module / name: name for name in (*ROOT_TESTS, "go.mod", "go.sum")},
        **{path: path.name for path in SOURCES.glob("*.go")},
        **{path: f"{path.parent.name}/{path.name}" for path in libraries if not path.name.endswith("_test.go")},
        **{module / "toxics" / name: f"toxics/{name}" for name in TOXIC_TESTS},
    }
    # Not copy2: the module cache is read-only, and the copies must be removable.
    for path, name in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / name)


@contextmanager
def alone_on_the_ports() -> Iterator[None]:
    """Two checkouts on one machine run these tests one after the other."""
    with (Path(tempfile.gettempdir()) / f"coldstart-own-tests-{PORT}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def played(package: str, folder: Path, *options: str) -> tuple[dict[str, str], str]:
    """What became of each test of a package, played against our server, and all that Go printed."""
    argv = ["go", "test", "-mod=mod", "-v", "-count=1", f"-timeout={LIMIT_S / 2:.0f}s", f"-skip={NO_SERVER}", *options]
    with alone_on_the_ports():
        server = [sys.executable, "-m", "harness.proxy", str(PORT)]
        async with Child.running("toxiproxy", server, log=folder.parent / "log") as child:
            await child.next_record(ProxyReady)
            done = await asyncio.to_thread(run, [*argv, package], folder)
    assert (folder.parent / "log").read_text() == ""
    results = re.findall(r"^--- (\w+): (\w+)", done.stdout, re.MULTILINE)
    return {name: result for result, name in results}, done.stdout + done.stderr


def failed(results: dict[str, str]) -> set[str]:
    return {name for name, result in results.items() if result != "PASS"}


def written(module: Path, names: tuple[str, ...]) -> set[str]:
    """The tests that are in these files."""
    texts = [(module / name).read_text() for name in names]
    return {name for text in texts for name in re.findall(r"^func (Test\w+)\(", text, re.MULTILINE)} - {NO_SERVER}


@pytest.mark.timeout(LIMIT_S + 60)
async def test_toxiproxys_own_tests_of_its_api_and_its_proxies_pass(tmp_path: Path) -> None:
    module = toxiproxy_module()
    assert len(written(module, ("api_test.go",))) == 34
    copied(module, tmp_path / "module")
    results, said = await played(".", tmp_path / "module")
    assert set(results) == written(module, ROOT_TESTS), said
    assert failed(results) == OURS_ANSWERS_OTHERWISE, said


@pytest.mark.quiet
@pytest.mark.timeout(LIMIT_S + 60)
async def test_toxiproxys_own_tests_of_its_toxics_pass(tmp_path: Path) -> None:
    module = toxiproxy_module()
    copied(module, tmp_path / "module")
    results, said = await played("./toxics", tmp_path / "module")
    assert set(results) == written(module, tuple(f"toxics/{name}" for name in TOXIC_TESTS)), said
    for _ in range(TRIES - 1):
        if late := failed(results):
            again, said = await played("./toxics", tmp_path / "module", f"-run=^({'|'.join(sorted(late))})$")
            results |= again
    assert not failed(results), said
