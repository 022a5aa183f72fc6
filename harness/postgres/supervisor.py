"""The process beside the server: makes it, reports it, and takes it down when the parent goes.

`python -m harness.postgres.supervisor MAX_CONNECTIONS [KEPT]` is a child of the harness (harness/processes): it writes
`PostgresReady`, and ends at the end of its stdin. KEPT is a `KeptFolder` that its parent has the lock of.
"""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.model.errors import StackError, UserError
from harness.postgres.binaries import Binaries, binaries
from harness.postgres.folder import DATA, Account, account, readable_by, server_folder
from harness.postgres.kept import KeptFolder
from harness.postgres.shared_memory import PID_FILE, remove_segment
from harness.processes.child import emit, explain, watch_stdin
from harness.processes.ending import how_ended
from harness.processes.messages import PostgresReady

HOST = "127.0.0.1"
USER = "coldstart"
DATABASE = "postgres"
READY_POLL_S = 0.02
START_LIMIT_S = 60.0
STOP_LIMIT_S = 5.0
PORT_TRIES = 5
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# The longest PostgreSQL takes: a connection that is held over a long wake must not be cut short by the server.
AUTHENTICATION_TIMEOUT_S = 600
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "authentication_timeout": f"{AUTHENTICATION_TIMEOUT_S}s",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "logging_collector": "off",
    # In the data folder, which goes with the server: in /dev/shm a killed one would leave a megabyte for ever.
    "dynamic_shared_memory_type": "mmap",
}
# Where the data is thrown away nothing waits for a disk; autovacuum would be noise in the measurements.
THROWN_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """PostgreSQL's data folder, made or found."""

    data: Path
    password: str = field(repr=False)
    is_new: bool
    is_kept: bool


def main() -> int:
    """Serve until stdin ends; 1 with one line on stderr when the server can't start or ends by itself."""
    gone = threading.Event()
    watch_stdin(gone.set)
    # The parent decides when to stop; a terminal's Ctrl-C or a SIGTERM must still end in an orderly way.
    signal.signal(signal.SIGTERM, lambda *_: gone.set())
    signal.signal(signal.SIGINT, lambda *_: gone.set())
    owner = account()
    try:
        with server_folder(owner) as folder:
            found = readable_by(binaries(), owner, folder)
            cluster = _cluster(found, folder, owner)
            settings = {**SETTINGS, **({} if cluster.is_kept else THROWN_AWAY), "max_connections": sys.argv[1]}
            server, port = _start(found, cluster.data, owner, settings, gone)
            try:
                if not gone.is_set():
                    ready = PostgresReady(
                        host=HOST,
                        port=port,
                        user=USER,
                        password=cluster.password,
                        database=DATABASE,
                        version=found.version(),
                        pid=server.pid,
                        is_new=cluster.is_new,
                    )
                    emit(ready)
                while server.poll() is None and not gone.wait(READY_POLL_S * 5):
                    pass
                if server.poll() is not None and not gone.is_set():
                    raise StackError("postgres", f"the server {how_ended(server.returncode)}")
            finally:
                _stop(server)
                remove_segment(cluster.data)
    except OSError as error:
        # A full disk, no more processes, no more files.
        return explain(
            StackError("postgres", f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}")
        )
    except (StackError, UserError) as error:
        return explain(error)
    return 0


def _cluster(found: Binaries, folder: Path, owner: Account) -> Cluster:
    """The data in `folder`, this run's own; or those of the kept folder, made there the first time."""
    if len(sys.argv) < 3:
        data = folder / DATA
        return Cluster(data, _initdb(found, folder, data, owner), is_new=True, is_kept=False)
    kept = KeptFolder(Path(sys.argv[2]), lock=-1)
    if kept.is_finished:
        _check_version(found, kept)
        return Cluster(kept.data, kept.password_file.read_text(encoding="ascii"), is_new=False, is_kept=True)
    # A start that was killed before its database was finished has left its data.
    shutil.rmtree(kept.data, ignore_errors=True)
    kept.data.mkdir(mode=0o700)
    if owner.uid is not None and owner.gid is not None:
        os.chown(kept.data, owner.uid, owner.gid)
    return Cluster(kept.data, _initdb(found, folder, kept.data, owner), is_new=True, is_kept=True)


def _check_version(found: Binaries, kept: KeptFolder) -> None:
    made_by, ours = (kept.data / "PG_VERSION").read_text().strip(), found.version()
    if made_by != ours.partition(".")[0]:
        raise StackError("postgres", f"{kept.path} was made by PostgreSQL {made_by}, and this is {ours}")


def _initdb(found: Binaries, folder: Path, data: Path, owner: Account) -> str:
    password = secrets.token_urlsafe(24)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if owner.uid is not None and owner.gid is not None:
        os.chown(password_file, owner.uid, owner.gid)
    command = [
        str(found.initdb), "-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password_file}",
        "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, **owner.popen)  # type: ignore[call-overload]
    password_file.unlink()
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        # The first error is the reason; what follows is about cleaning up after it.
        raise StackError("postgres", f"initdb failed: {next((line for line in lines if 'error:' in line), lines[-1])}")
    return password


def _start(
    found: Binaries, data: Path, owner: Account, settings: Mapping[str, str], gone: threading.Event
) -> tuple[subprocess.Popen[bytes], int]:
    arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    for _ in range(PORT_TRIES):
        port = free_port()
        server = subprocess.Popen(  # type: ignore[call-overload]
            [str(found.postgres), "-D", str(data), "-c", f"port={port}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            cwd=data,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock taken
            **owner.popen,
        )
        if _wait_until_ready(server, data, gone):
            return server, port
        # Between choosing a port and binding it somebody else can take it: choose again.
    raise StackError("postgres", f"the server did not start in {PORT_TRIES} tries")


def _wait_until_ready(server: subprocess.Popen[bytes], data: Path, gone: threading.Event) -> bool:
    pid_file = data / PID_FILE
    limit_at_s = time.monotonic() + START_LIMIT_S
    while server.poll() is None:
        # Line 1 of postmaster.pid is the server's process, line 8 its status (PostgreSQL, miscadmin.h,
        # LOCK_FILE_LINE_PM_STATUS). A server that was killed has left one.
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        is_ours = bool(lines) and lines[0] == str(server.pid)
        if gone.is_set() or (is_ours and len(lines) >= 8 and lines[7].strip() == "ready"):
            return True
        if time.monotonic() > limit_at_s:
            _stop(server)
            raise StackError("postgres", f"the server was not ready after {START_LIMIT_S:g} s")
        time.sleep(READY_POLL_S)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    for signal_ in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and the end
        if server.poll() is not None:
            return
        server.send_signal(signal_)
        try:
            server.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            continue


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    # When this supervisor is killed itself: a fast shutdown (Linux; elsewhere the next start sweeps).
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
