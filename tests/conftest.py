"""Real parts for the tests: a PostgreSQL of the test session, a proxy server, the real Toxiproxy where it is built."""

import gc
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from harness.model.errors import StackError
from harness.pgbouncer.program import program
from harness.postgres import PostgresServer, embedded_postgres
from harness.processes.process import Child
from harness.service.catalogue import create_catalogue

# A shell starts what runs in its background with SIGINT ignored, which every child inherits: no test of a Ctrl-C, in
# this process or in one that it starts, would ever see one.
signal.signal(signal.SIGINT, signal.default_int_handler)

BUILT = Path(__file__).parent.parent / ".tools" / "toxiproxy-server"


def real_toxiproxy() -> str | None:
    """The real server's program: on PATH, or built by `make toxiproxy`."""
    return shutil.which("toxiproxy-server") or (str(BUILT) if BUILT.is_file() else None)


def _has_pgbouncer() -> bool:
    try:
        program()
    except StackError:
        return False
    return True


HAS_PGBOUNCER = _has_pgbouncer()
needs_pgbouncer = pytest.mark.skipif(not HAS_PGBOUNCER, reason="no pgbouncer on this machine")

SERVERS = ["ours", *(["real"] if real_toxiproxy() else [])]
"""The Toxiproxy servers that tests of its API run against."""


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> None:
    """The command's `main` ends with Ctrl-C ignored: a test that has called it would hand that to every child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """A socket or file that a module's tests left open is an error of that module, whenever the collector runs."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL with the catalogue in it, for tests with an event loop and for those without."""
    starting = embedded_postgres(log=tmp_path_factory.mktemp("postgres") / "log")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(starting) as (server, _):
        portal.call(create_catalogue, server.dsn)
        yield server


@pytest.fixture
async def proxy_process(tmp_path: Path) -> AsyncIterator[Child]:
    """Our proxy server as the stacks start it; its `ready` record is still to be read."""
    async with Child.running("toxiproxy", [sys.executable, "-m", "harness.proxy", "0"], log=tmp_path / "log") as child:
        yield child
