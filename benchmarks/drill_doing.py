"""How the faults of the drills are done, and what a machine must have for them."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import docker.errors
import psutil

from benchmarks.drill_run import CHECKOUT, FILLER, MARK, POLL_S, RUN, Drilled, MissedError, Phase
from harness.compose.engine import engine
from harness.model.errors import StackError, UserError

STOPPED_S = 2.0
TWICE_S = 0.05

Do = Callable[[Drilled, Phase], None]


def kill(run: Drilled, part: str | None, signal_: signal.Signals) -> None:
    process = psutil.Process(run.process.pid) if part is None else run.part(part)
    run.look()
    try:
        process.send_signal(signal_)
    except psutil.NoSuchProcess:
        raise MissedError(f"{part} had ended") from None


def signalled(signal_: signal.Signals, part: str | None = None, *, times: int = 1) -> Do:
    def do(run: Drilled, _phase: Phase) -> None:
        kill(run, part, signal_)
        for _ in range(times - 1):
            time.sleep(TWICE_S)
            if run.process.poll() is None:
                kill(run, part, signal_)

    return do


def stopped(part: str | None) -> Do:
    def do(run: Drilled, _phase: Phase) -> None:
        process = psutil.Process(run.process.pid) if part is None else run.part(part)
        run.look()
        process.suspend()
        time.sleep(STOPPED_S)
        try:
            process.resume()
        except psutil.NoSuchProcess:
            return

    return do


def nothing(run: Drilled, _phase: Phase) -> None:
    run.look()


def highest_file(process: psutil.Process) -> int:
    """The limit under which it keeps what it has open, and gets only what it closes itself."""
    try:
        return max(int(path.name) for path in Path(f"/proc/{process.pid}/fd").iterdir()) + 1
    except (OSError, ValueError):
        raise MissedError("had ended") from None


def limited(which: int, used: Callable[[psutil.Process], int], part: str | None = None) -> Do:
    """From now on the process gets no more of it than it has."""

    def do(run: Drilled, _phase: Phase) -> None:
        process = psutil.Process(run.process.pid) if part is None else run.part(part)
        run.look()
        try:
            most = used(process)
            process.rlimit(which, (most, most))
        except psutil.NoSuchProcess:
            raise MissedError("had ended") from None

    return do


def filled(place: str) -> Do:
    def do(run: Drilled, _phase: Phase) -> None:
        run.look()
        with (run.folder / place / FILLER).open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass

    return do


def on_a_small_disk(place: str, size: str) -> Callable[[Path], None]:
    def prepared(folder: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder / place], check=True)

    return prepared


def unmounted(place: str) -> Callable[[Path], None]:
    def ended(folder: Path) -> None:
        subprocess.run(["umount", "-l", folder / place], check=False)

    return ended


def take_connections(run: Drilled, _phase: Phase) -> None:
    """Log in as often as PostgreSQL lets one begin to, and leave it at that: its slots are taken."""
    server = run.part("postmaster")
    run.look()
    port = next((words.partition("=")[2] for words in server.cmdline() if words.startswith("port=")), "")
    words = b"user\0coldstart\0database\0postgres\0\0"
    startup = struct.pack("!ii", 8 + len(words), 196_608) + words
    taken: list[socket.socket] = []
    try:
        refused = 0
        while refused < 3 and len(taken) < 500:
            try:
                connection = socket.create_connection(("127.0.0.1", int(port)), timeout=1)
            except OSError:
                # Not up yet, or gone: with the first it is tried again.
                if run.process.poll() is not None:
                    raise MissedError("had ended") from None
                time.sleep(0.02)
                continue
            taken.append(connection)
            connection.sendall(startup)
            try:
                # R: it wants a password; E: there is no place left.
                refused += connection.recv(1) != b"R"
            except OSError:
                refused += 1
        run.process.wait(15)
    except subprocess.TimeoutExpired:
        pass
    finally:
        for connection in taken:
            connection.close()


def loopback_down(run: Drilled, _phase: Phase) -> None:
    run.look()
    subprocess.run(["nsenter", "-t", str(run.process.pid), "-n", "ip", "link", "set", "lo", "down"], check=False)


def second_run(run: Drilled, _phase: Phase) -> None:
    first = psutil.Process(run.process.pid)
    while MARK not in first.environ():
        # It is still this program's copy.
        time.sleep(POLL_S)
    argv = [sys.executable, "-m", "harness", *RUN, "--out", str(run.out)]
    done = subprocess.run(argv, capture_output=True, check=False, cwd=CHECKOUT, env=first.environ(), timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"the second run: status {done.returncode}: {done.stderr.decode()[-200:]}")


def jump(run: Drilled, _phase: Phase) -> None:
    run.look()
    (run.folder / "jump").touch()


def ready(run: Drilled, _phase: Phase) -> None:
    """Until `coldstart up` says that it is up."""
    deadline_s = time.monotonic() + 60
    while "Ctrl-C stops it" not in run.stdout + run.stderr:
        if run.process.poll() is not None or time.monotonic() > deadline_s:
            raise MissedError("did not come up")
        time.sleep(0.02)


def recording(run: Drilled, _phase: Phase) -> None:
    run.part("recorded application")


def after(first: Do, then: Do) -> Do:
    def do(run: Drilled, phase: Phase) -> None:
        first(run, phase)
        then(run, phase)

    return do


def kill_container(run: Drilled, _phase: Phase) -> None:
    run.look()
    for container in engine().containers.list():
        if "postgres" in (container.name or "") and "coldstart" in (container.name or ""):
            container.kill()
            return
    raise MissedError("no container")


def without_root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def without_engine() -> str:
    try:
        engine().ping()
    except (StackError, UserError, docker.errors.DockerException, OSError):
        return "no Docker engine answers"
    return ""


def without(*programs: str) -> Callable[[], str]:
    def needs() -> str:
        missing = [name for name in programs if shutil.which(name) is None]
        return f"no {', '.join(missing)}" if missing else ""

    return needs


def with_root_and(*programs: str) -> Callable[[], str]:
    return lambda: without_root() or without(*programs)()


def one_core() -> tuple[str, ...]:
    return ("taskset", "-c", str(min(os.sched_getaffinity(0))))


def read_only() -> tuple[str, ...]:
    place = str(CHECKOUT)
    words = f'mount --bind "{place}" "{place}" && mount -o remount,ro,bind "{place}" && cd "{place}" && exec "$@"'
    return ("unshare", "-m", "sh", "-c", words, "sh")


def own_network() -> tuple[str, ...]:
    return ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def clock(seconds: int) -> Callable[[Path], Mapping[str, str]]:
    return lambda folder: {
        "LD_PRELOAD": str(folder / "clock.so"), "DRILL_JUMP": str(folder / "jump"), "DRILL_JUMP_S": str(seconds),
    }  # fmt: skip


def clock_built(folder: Path) -> None:
    source = Path(__file__).parent / "drill_clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", folder / "clock.so", source, "-ldl"], check=True)
