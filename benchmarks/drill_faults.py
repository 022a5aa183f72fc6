"""The faults, and what is expected after each: the table of docs/reliability.md is made of these."""

import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker.errors
import psutil

from benchmarks.drill_run import CHECKOUT, FILLER, RUN, SCENARIO, Drilled, MissedError, Phase
from harness.compose.engine import engine
from harness.model.errors import StackError, UserError

STOPPED_S = 2.0
TWICE_S = 0.05
PHASES = (Phase.SET_UP, Phase.WARM, Phase.HELD, Phase.RELEASED, Phase.WRITING)
ONCE = (Phase.WHOLE,)
OUT_OF_DISK = "3m"
DATA_DISK = "160m"
IN_ORDER = (0, 1, 3)
IS_ROOT = os.geteuid() == 0
JUMP_S = 3600
UP = ("up", "--port", "0", "--wake", "0.25")
RECORD = ("record", "--app", "main:app", "--app-dir", "examples/minimal", "--init", "examples/minimal/schema.sql")
PART_LINE = r"^coldstart: .+: (was killed by SIGKILL|ended with status \d+: .+)( \(log: .+\))?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a command ends."""

    exits: tuple[int, ...]
    """Its exit status is one of these; below zero: the signal that ended it."""
    marked: tuple[str, ...] = ()
    """The status in the manifest is one of these. Empty: there is no run."""
    line: str = ""
    """A pattern of the last line on standard error, where the exit status is 2 or 3."""


Do = Callable[[Drilled, Phase], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: how it is done, to which command, when, and what is expected after it."""

    name: str
    do: Do
    expected: Expected
    instead: Mapping[Phase, Expected] = field(default_factory=dict)
    """In these phases something else is expected."""
    phases: tuple[Phase, ...] = PHASES
    part: str | None = None
    """Of the command's processes, the one that it is done to; None: the command's own, or none."""
    command: tuple[str, ...] = RUN
    to_out: bool = True
    needs: Callable[[], str] = lambda: ""
    """Why it can't be done on this machine; empty: it can."""
    prefix: Callable[[], tuple[str, ...]] = tuple
    environment: Callable[[Path], Mapping[str, str]] = lambda _: {}
    prepared: Callable[[Path], None] = lambda _: None
    ended: Callable[[Path], None] = lambda _: None
    """Undoes what `prepared` did."""

    def expects(self, phase: Phase) -> Expected:
        return self.instead.get(phase, self.expected)


# A crash of PostgreSQL and a process that stood still must mark the trial (issue 18, "it never lies"): until they do,
# such a run only has to end in order. This is the one place to tighten.
MARKED_AS_NO_MEASUREMENT = Expected(exits=IN_ORDER, marked=("complete", "failed"), line=r"^coldstart: ")

KILLED = Expected(exits=(-signal.SIGKILL,), marked=("killed",))
KILLED_LATE = Expected(exits=(-signal.SIGKILL, 0), marked=("killed", "complete"))
DIED = Expected(exits=(3,), marked=("failed",), line=PART_LINE)
DIED_LATE = Expected(exits=(3, 0), marked=("failed", "complete"), line=PART_LINE)
# A server that ends before it was ready may have lost its port to another: it is started once more.
TRIED_AGAIN = {Phase.SET_UP: DIED_LATE, Phase.WRITING: DIED_LATE}
STOPPED = Expected(exits=(130,), marked=("aborted",))
STOPPED_LATE = Expected(exits=(130, 0), marked=("aborted", "complete"))
WHOLE = Expected(exits=(0,), marked=("complete",))
LACKS = Expected(exits=(3,), marked=("failed",), line=r"^coldstart: .+")
LACKS_PERHAPS = Expected(exits=IN_ORDER, marked=("failed", "complete"), line=r"^coldstart: .+")


def _kill(run: Drilled, part: str | None, signal_: signal.Signals) -> None:
    process = psutil.Process(run.process.pid) if part is None else run.part(part)
    run.look()
    try:
        process.send_signal(signal_)
    except psutil.NoSuchProcess:
        raise MissedError(f"{part} had ended") from None


def _signal(signal_: signal.Signals, part: str | None = None, *, times: int = 1) -> Do:
    def do(run: Drilled, _phase: Phase) -> None:
        _kill(run, part, signal_)
        for _ in range(times - 1):
            time.sleep(TWICE_S)
            if run.process.poll() is None:
                _kill(run, part, signal_)

    return do


def _stop(part: str | None) -> Do:
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


def _nothing(run: Drilled, _phase: Phase) -> None:
    run.look()


def _limit(which: int, used: Callable[[psutil.Process], int], part: str | None = None) -> Do:
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


def _fill(place: str) -> Do:
    def do(run: Drilled, _phase: Phase) -> None:
        run.look()
        with (run.folder / place / FILLER).open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass

    return do


def _on_a_small_disk(place: str, size: str) -> Callable[[Path], None]:
    def prepared(folder: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder / place], check=True)

    return prepared


def _unmounted(place: str) -> Callable[[Path], None]:
    def ended(folder: Path) -> None:
        subprocess.run(["umount", "-l", folder / place], check=False)

    return ended


def _take_connections(run: Drilled, _phase: Phase) -> None:
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


def _loopback_down(run: Drilled, _phase: Phase) -> None:
    run.look()
    subprocess.run(["nsenter", "-t", str(run.process.pid), "-n", "ip", "link", "set", "lo", "down"], check=False)


def _second_run(run: Drilled, _phase: Phase) -> None:
    first = psutil.Process(run.process.pid)
    argv = [*first.cmdline()[:3], *RUN, "--out", str(run.out)]
    done = subprocess.run(argv, capture_output=True, check=False, cwd=CHECKOUT, env=first.environ(), timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"the second run: status {done.returncode}: {done.stderr.decode()[-200:]}")


def _jump(run: Drilled, _phase: Phase) -> None:
    run.look()
    (run.folder / "jump").touch()


def _ready(run: Drilled, _phase: Phase) -> None:
    """Until `coldstart up` says that it is up."""
    deadline_s = time.monotonic() + 60
    while "Ctrl-C stops it" not in run.stdout + run.stderr:
        if run.process.poll() is not None or time.monotonic() > deadline_s:
            raise MissedError("did not come up")
        time.sleep(0.02)


def _recording(run: Drilled, _phase: Phase) -> None:
    run.part("recorded application")


def _after(first: Do, then: Do) -> Do:
    def do(run: Drilled, phase: Phase) -> None:
        first(run, phase)
        then(run, phase)

    return do


def _kill_container(run: Drilled, _phase: Phase) -> None:
    run.look()
    for container in engine().containers.list():
        if "postgres" in (container.name or "") and "coldstart" in (container.name or ""):
            container.kill()
            return
    raise MissedError("no container")


def _without_root() -> str:
    return "" if IS_ROOT else "needs root"


def _without_engine() -> str:
    try:
        engine().ping()
    except (StackError, UserError, docker.errors.DockerException, OSError):
        return "no Docker engine answers"
    return ""


def _without(*programs: str) -> Callable[[], str]:
    def needs() -> str:
        missing = [name for name in programs if shutil.which(name) is None]
        return f"no {', '.join(missing)}" if missing else ""

    return needs


def _with_root_and(*programs: str) -> Callable[[], str]:
    return lambda: _without_root() or _without(*programs)()


def _one_core() -> tuple[str, ...]:
    return ("taskset", "-c", str(min(os.sched_getaffinity(0))))


def _read_only() -> tuple[str, ...]:
    place = str(CHECKOUT)
    words = f'mount --bind "{place}" "{place}" && mount -o remount,ro,bind "{place}" && cd "{place}" && exec "$@"'
    return ("unshare", "-m", "sh", "-c", words, "sh")


def _own_network() -> tuple[str, ...]:
    return ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def _clock(seconds: int) -> Callable[[Path], Mapping[str, str]]:
    return lambda folder: {
        "LD_PRELOAD": str(folder / "clock.so"), "DRILL_JUMP": str(folder / "jump"), "DRILL_JUMP_S": str(seconds),
    }  # fmt: skip


def _clock_built(folder: Path) -> None:
    source = Path(__file__).parent / "drill_clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", folder / "clock.so", source, "-ldl"], check=True)


ONE_WORKER = (*RUN, "--pool", "2+0", "--workers", "1")
FAULTS: tuple[Fault, ...] = (
    Fault(name="kill -9 the run", do=_signal(signal.SIGKILL), expected=KILLED, instead={Phase.WRITING: KILLED_LATE}),
    *(
        Fault(
            name=f"kill -9 {part}",
            do=_signal(signal.SIGKILL, part),
            part=part,
            expected=DIED,
            instead=TRIED_AGAIN if part == "postmaster" else {Phase.WRITING: DIED_LATE},
            command=ONE_WORKER if part == "Locust worker" else RUN,
        )
        for part in ("supervisor", "postmaster", "proxy", "service", "Locust", "Locust worker")
    ),
    Fault(
        name="kill -9 a backend",
        do=_signal(signal.SIGKILL, "backend"),
        part="backend",
        expected=MARKED_AS_NO_MEASUREMENT,
    ),
    Fault(name="SIGTERM", do=_signal(signal.SIGTERM), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}),
    Fault(name="SIGINT", do=_signal(signal.SIGINT), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}),
    Fault(
        name="SIGINT twice", do=_signal(signal.SIGINT, times=2), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}
    ),
    Fault(name="SIGHUP", do=_signal(signal.SIGHUP), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}),
    *(
        Fault(
            name=f"SIGSTOP {part or 'the run'}, {STOPPED_S:g} s",
            do=_stop(part),
            part=part,
            expected=MARKED_AS_NO_MEASUREMENT,
            phases=PHASES[:4],
        )
        for part in (None, "postmaster", "proxy", "service", "Locust")
    ),
    Fault(
        name="PostgreSQL shut down by another",
        do=_signal(signal.SIGINT, "postmaster"),
        part="postmaster",
        expected=DIED,
        instead=TRIED_AGAIN,
    ),
    Fault(
        name="disk of the results full",
        do=_fill("out"),
        expected=LACKS,
        instead={Phase.WRITING: LACKS_PERHAPS},
        needs=_with_root_and("mount"),
        prepared=_on_a_small_disk("out", OUT_OF_DISK),
        ended=_unmounted("out"),
    ),
    Fault(
        name="disk of PostgreSQL full",
        do=_fill("tmp"),
        expected=LACKS_PERHAPS,
        needs=_with_root_and("mount"),
        prepared=_on_a_small_disk("tmp", DATA_DISK),
        ended=_unmounted("tmp"),
    ),
    Fault(
        name="no more files for the run",
        do=_limit(resource.RLIMIT_NOFILE, lambda process: process.num_fds()),
        expected=LACKS_PERHAPS,
    ),
    Fault(
        name="no more files for the service",
        do=_limit(resource.RLIMIT_NOFILE, lambda process: process.num_fds(), "service"),
        part="service",
        expected=LACKS_PERHAPS,
        phases=PHASES[:4],
    ),
    Fault(
        name="no more memory for the run",
        do=_limit(resource.RLIMIT_AS, lambda process: process.memory_info().vms),
        expected=LACKS_PERHAPS,
    ),
    Fault(
        name="no connection left",
        do=_take_connections,
        part="postmaster",
        expected=LACKS_PERHAPS,
        phases=PHASES[:3],
    ),
    Fault(
        name="loopback down",
        do=_loopback_down,
        expected=LACKS_PERHAPS,
        phases=PHASES[:4],
        needs=_with_root_and("unshare", "nsenter", "ip"),
        prefix=_own_network,
    ),
    Fault(name="two runs at once", do=_second_run, expected=WHOLE, phases=ONCE),
    *(
        Fault(
            name=f"the clock jumps {'on' if seconds > 0 else 'back'} by an hour",
            do=_jump,
            expected=WHOLE,
            phases=(Phase.SET_UP, Phase.WARM, Phase.HELD),
            needs=_without("cc"),
            environment=_clock(seconds),
            prepared=_clock_built,
        )
        for seconds in (JUMP_S, -JUMP_S)
    ),
    Fault(name="one core", do=_nothing, expected=WHOLE, phases=ONCE, needs=_without("taskset"), prefix=_one_core),
    Fault(
        name="a read-only checkout",
        do=_nothing,
        expected=WHOLE,
        phases=ONCE,
        needs=_with_root_and("unshare"),
        prefix=_read_only,
    ),
    Fault(
        name="a read-only checkout, and no --out",
        do=_nothing,
        expected=Expected(exits=(2, 3), line=r"^coldstart: results/runs: can't be written: Read-only file system"),
        phases=ONCE,
        to_out=False,
        needs=_with_root_and("unshare"),
        prefix=_read_only,
    ),
    *(
        Fault(
            name=f"coldstart up: {name}",
            do=_after(_ready, do),
            expected=Expected(exits=exits, line=r"^coldstart: "),
            phases=ONCE,
            command=UP,
            to_out=False,
        )
        for name, do, exits in (
            ("kill -9", _signal(signal.SIGKILL), (-signal.SIGKILL,)),
            ("SIGINT twice", _signal(signal.SIGINT, times=2), (0, 130)),
            ("SIGTERM", _signal(signal.SIGTERM), (0, 130)),
            ("kill -9 its postmaster", _signal(signal.SIGKILL, "postmaster"), (3,)),
            ("kill -9 its proxy", _signal(signal.SIGKILL, "proxy"), (3,)),
        )
    ),
    *(
        Fault(
            name=f"coldstart record: {name}",
            do=do,
            expected=Expected(exits=exits, line=r"^coldstart: "),
            phases=ONCE,
            command=RECORD,
            to_out=False,
        )
        for name, do, exits in (
            ("kill -9 the application", _signal(signal.SIGKILL, "recorded application"), (3,)),
            ("SIGINT", _after(_recording, _signal(signal.SIGINT)), (130,)),
        )
    ),
    Fault(
        name="kill -9 PostgreSQL's container",
        do=_kill_container,
        expected=DIED,
        phases=(Phase.HELD,),
        command=("run", str(SCENARIO), "--stack", "compose", "--no-charts"),
        needs=_without_engine,
    ),
)
