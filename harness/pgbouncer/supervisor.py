"""The process beside PgBouncer: starts it as an account that it accepts, and takes it down when the parent goes.

`python -m harness.pgbouncer.supervisor` is a child of the harness (harness/processes): it reads `ServePgBouncer`,
writes `PgBouncerReady`, and ends at the end of its stdin.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from harness.asyncpg_errors import LOST
from harness.converter import from_json
from harness.model.errors import StackError, UserError
from harness.model.server import PgBouncer
from harness.pgbouncer.program import Program, program
from harness.pgbouncer.settings import HOST, configuration, user_list
from harness.postgres.folder import Account, account, server_folder
from harness.postgres.supervisor import free_port
from harness.processes.child import commands, emit
from harness.processes.messages import AnyCommand, PgBouncerReady, ServePgBouncer
from harness.processes.open_files import allow_open_files

CONSOLE = "pgbouncer"
"""The database by whose name PgBouncer's own console is reached."""
POLL_S = 0.02
START_LIMIT_S = 30.0
PORT_TRIES = 5
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


async def supervise() -> None:
    """Serve until stdin ends. Raises `StackError` when PgBouncer can't start or ends by itself."""
    orders = commands()
    order = await anext(orders, None)
    if order is None:
        return
    if not isinstance(order, ServePgBouncer):
        raise StackError("pgbouncer", f"was sent {type(order).__name__}, which it does not know")
    gone = asyncio.create_task(_end_of(orders))
    # The parent decides when to stop; a SIGTERM must still end in an orderly way.
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, gone.cancel)
    owner = account()
    allow_open_files()
    with server_folder(owner, "pgbouncer") as folder:
        server, port = await _start(program(), order, folder, owner, gone)
        try:
            if not gone.done():
                emit(PgBouncerReady(port=port, pid=server.pid))
            while server.poll() is None and not gone.done():
                await asyncio.wait({gone}, timeout=POLL_S * 5)
            if not gone.done():
                raise StackError("pgbouncer", f"ended with status {server.returncode}")
            if not gone.cancelled():
                gone.result()
        finally:
            # It keeps nothing, so there is nothing to end in order; which signal is the fast one differs by version.
            server.kill()
            server.wait()


async def _end_of(orders: AsyncIterator[AnyCommand]) -> None:
    async for order in orders:
        raise StackError("pgbouncer", f"was sent {type(order).__name__}, which it does not know")


async def _start(
    found: Program, order: ServePgBouncer, folder: Path, owner: Account, gone: "asyncio.Task[None]"
) -> tuple[subprocess.Popen[bytes], int]:
    pooler = from_json(order.pooler, PgBouncer, where="pgbouncer")
    users = _written(folder / "userlist.txt", user_list(order), owner)
    for _ in range(PORT_TRIES):
        port = free_port()
        ini = _written(folder / "pgbouncer.ini", configuration(pooler, order, port=port, users=users), owner)
        server = _launch(found, ini, owner)
        if await _answers(server, order, port, gone):
            return server, port
        # Between choosing a port and binding it somebody else can take it: choose again.
    raise StackError("pgbouncer", f"did not start in {PORT_TRIES} tries")


def _launch(found: Program, ini: Path, owner: Account) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[no-any-return,call-overload]
        [str(found.path), str(ini)],
        stdin=subprocess.DEVNULL,
        # It logs to stderr, which is the child's log.
        stdout=sys.stderr,
        cwd=ini.parent,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
        **owner.popen,
    )


async def _answers(
    server: subprocess.Popen[bytes], order: ServePgBouncer, port: int, gone: "asyncio.Task[None]"
) -> bool:
    """Waits until a login to its console succeeds, or until it has ended (False)."""
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while server.poll() is None:
                if gone.done():
                    return True
                try:
                    console = await asyncpg.connect(
                        host=HOST, port=port, user=order.user, password=order.password, database=CONSOLE, ssl=False
                    )
                except LOST:
                    await asyncio.sleep(POLL_S)
                else:
                    console.terminate()
                    return True
    except TimeoutError:
        server.kill()
        server.wait()
        raise StackError("pgbouncer", f"did not answer after {START_LIMIT_S:g} s") from None
    return False


def _written(path: Path, content: str, owner: Account) -> Path:
    """A file that only PgBouncer's account can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(content)
    if owner.uid is not None and owner.gid is not None:
        os.chown(path, owner.uid, owner.gid)
    return path


def _die_with_parent() -> None:
    # When this supervisor is killed itself (Linux; elsewhere it would stay).
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """0 when the parent wanted the end; 1 with one line on stderr when PgBouncer could not start or ended."""
    try:
        asyncio.run(supervise())
    except (StackError, UserError) as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log, its last line the reason
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
