"""The faults, and what is expected after each: the table of docs/reliability.md is made of these."""

import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.drill_doing import (
    STOPPED_S,
    Do,
    after,
    clock,
    clock_built,
    filled,
    highest_file,
    jump,
    kill_container,
    limited,
    loopback_down,
    nothing,
    on_a_small_disk,
    one_core,
    own_network,
    read_only,
    ready,
    recording,
    second_run,
    signalled,
    stopped,
    take_connections,
    unmounted,
    with_root_and,
    without,
    without_engine,
)
from benchmarks.drill_run import RUN, SCENARIO, Phase

PHASES = (Phase.SET_UP, Phase.WARM, Phase.HELD, Phase.RELEASED, Phase.WRITING)
ONCE = (Phase.WHOLE,)
OUT_OF_DISK = "3m"
DATA_DISK = "160m"
IN_ORDER = (0, 1, 3, 5)
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
    kept: bool = True
    """There must be a run. False: the fault may have come while its folder was made, and then there is none."""
    line: str = ""
    """A pattern of the last line on standard error, where the exit status is 2 or 3."""


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


KILLED = Expected(exits=(-signal.SIGKILL,), marked=("killed",))
KILLED_LATE = Expected(exits=(-signal.SIGKILL, 0), marked=("killed", "complete"))
DIED = Expected(exits=(3,), marked=("failed",), line=PART_LINE)
DIED_LATE = Expected(exits=(3, 0), marked=("failed", "complete"), line=PART_LINE)
# A server that ends before it was ready may have lost its port to another: it is started once more.
TRIED_AGAIN = {Phase.SET_UP: DIED_LATE, Phase.WRITING: DIED_LATE}
STOPPED = Expected(exits=(130,), marked=("aborted",))
STOPPED_LATE = Expected(exits=(130, 0), marked=("aborted", "complete"))
WHOLE = Expected(exits=(0,), marked=("complete",))
# A crash of PostgreSQL, or a part that stood still: the run is whole, and says that it is no measurement.
NO_MEASUREMENT = Expected(exits=(5,), marked=("complete",))
PERHAPS_NO_MEASUREMENT = Expected(exits=(5, 0), marked=("complete",))
OF_A_TRIAL = ("service", "Locust")
LACKS = Expected(exits=(3,), marked=("failed",), line=r"^coldstart: .+")
LACKS_PERHAPS = Expected(exits=IN_ORDER, marked=("failed", "complete"), line=r"^coldstart: .+")
LACKS_AT_FIRST = replace(LACKS_PERHAPS, kept=False)
# The dynamic linker ends a process that has no memory for the thread-local data of a library: nobody can catch that.
OF_THE_LINKER = 127
LACKS_MEMORY = replace(LACKS_PERHAPS, exits=(*IN_ORDER, OF_THE_LINKER))

ONE_WORKER = (*RUN, "--pool", "2+0", "--workers", "1")
FAULTS: tuple[Fault, ...] = (
    Fault(name="kill -9 the run", do=signalled(signal.SIGKILL), expected=KILLED, instead={Phase.WRITING: KILLED_LATE}),
    *(
        Fault(
            name=f"kill -9 {part}",
            do=signalled(signal.SIGKILL, part),
            part=part,
            expected=DIED,
            instead=TRIED_AGAIN if part == "postmaster" else {Phase.WRITING: DIED_LATE},
            command=ONE_WORKER if part == "Locust worker" else RUN,
        )
        for part in ("supervisor", "postmaster", "proxy", "service", "Locust", "Locust worker")
    ),
    Fault(
        name="kill -9 a backend",
        do=signalled(signal.SIGKILL, "backend"),
        part="backend",
        expected=NO_MEASUREMENT,
        # Before the first trial and after the last one it disturbs nothing, and setting up may need that backend.
        instead={
            Phase.SET_UP: Expected(exits=IN_ORDER, marked=("complete", "failed"), line=r"^coldstart: "),
            # Another trial's service may warm its pool while all sessions are ended and the server recovers.
            Phase.WARM: Expected(
                exits=(5, 3), marked=("complete", "failed"), line=r"^coldstart: service: could not warm"
            ),
            Phase.WRITING: WHOLE,
        },
    ),
    Fault(name="SIGTERM", do=signalled(signal.SIGTERM), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}),
    Fault(name="SIGINT", do=signalled(signal.SIGINT), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}),
    Fault(
        name="SIGINT twice",
        do=signalled(signal.SIGINT, times=2),
        expected=STOPPED,
        instead={Phase.WRITING: STOPPED_LATE},
    ),
    Fault(name="SIGHUP", do=signalled(signal.SIGHUP), expected=STOPPED, instead={Phase.WRITING: STOPPED_LATE}),
    *(
        Fault(
            name=f"SIGSTOP {part or 'the run'}, {STOPPED_S:g} s",
            do=stopped(part),
            part=part,
            expected=NO_MEASUREMENT,
            # As one trial begins, the service and the Locust of the other may still be starting.
            instead={Phase.SET_UP: WHOLE} | ({Phase.WARM: PERHAPS_NO_MEASUREMENT} if part in OF_A_TRIAL else {}),
            phases=PHASES[:4],
        )
        for part in (None, "postmaster", "proxy", *OF_A_TRIAL)
    ),
    Fault(
        name="PostgreSQL shut down by another",
        do=signalled(signal.SIGINT, "postmaster"),
        part="postmaster",
        expected=DIED,
        instead=TRIED_AGAIN,
    ),
    Fault(
        name="disk of the results full",
        do=filled("out"),
        expected=LACKS,
        instead={Phase.SET_UP: LACKS_AT_FIRST, Phase.WRITING: LACKS_PERHAPS},
        needs=with_root_and("mount"),
        prepared=on_a_small_disk("out", OUT_OF_DISK),
        ended=unmounted("out"),
    ),
    Fault(
        name="disk of PostgreSQL full",
        do=filled("tmp"),
        expected=LACKS_PERHAPS,
        needs=with_root_and("mount"),
        prepared=on_a_small_disk("tmp", DATA_DISK),
        ended=unmounted("tmp"),
    ),
    Fault(
        name="no more files for the run",
        do=limited(resource.RLIMIT_NOFILE, highest_file),
        expected=LACKS_PERHAPS,
        instead={Phase.SET_UP: LACKS_AT_FIRST},
    ),
    Fault(
        name="no more files for the service",
        do=limited(resource.RLIMIT_NOFILE, highest_file, "service"),
        part="service",
        expected=LACKS_PERHAPS,
        phases=PHASES[:4],
    ),
    Fault(
        name="no more memory for the run",
        do=limited(resource.RLIMIT_AS, lambda process: process.memory_info().vms),
        expected=LACKS_MEMORY,
        instead={Phase.SET_UP: replace(LACKS_MEMORY, kept=False)},
    ),
    Fault(
        name="no connection left",
        do=take_connections,
        part="postmaster",
        expected=LACKS_PERHAPS,
        phases=PHASES[:3],
    ),
    Fault(
        name="loopback down",
        do=loopback_down,
        expected=LACKS_PERHAPS,
        phases=PHASES[:4],
        needs=with_root_and("unshare", "nsenter", "ip"),
        prefix=own_network,
    ),
    Fault(name="two runs at once", do=second_run, expected=WHOLE, phases=ONCE),
    *(
        Fault(
            name=f"the clock jumps {'on' if seconds > 0 else 'back'} by an hour",
            do=jump,
            expected=WHOLE,
            phases=(Phase.SET_UP, Phase.WARM, Phase.HELD),
            needs=without("cc"),
            environment=clock(seconds),
            prepared=clock_built,
        )
        for seconds in (JUMP_S, -JUMP_S)
    ),
    Fault(name="one core", do=nothing, expected=WHOLE, phases=ONCE, needs=without("taskset"), prefix=one_core),
    Fault(
        name="a read-only checkout",
        do=nothing,
        expected=WHOLE,
        phases=ONCE,
        needs=with_root_and("unshare"),
        prefix=read_only,
    ),
    Fault(
        name="a read-only checkout, and no --out",
        do=nothing,
        expected=Expected(exits=(2, 3), line=r"^coldstart: results/runs: can't be written: Read-only file system"),
        phases=ONCE,
        to_out=False,
        needs=with_root_and("unshare"),
        prefix=read_only,
    ),
    *(
        Fault(
            name=f"coldstart up: {name}",
            do=after(ready, do),
            expected=Expected(exits=exits, line=r"^coldstart: "),
            phases=ONCE,
            command=UP,
            to_out=False,
        )
        for name, do, exits in (
            ("kill -9", signalled(signal.SIGKILL), (-signal.SIGKILL,)),
            ("SIGINT twice", signalled(signal.SIGINT, times=2), (0, 130)),
            ("SIGTERM", signalled(signal.SIGTERM), (0, 130)),
            ("kill -9 its postmaster", signalled(signal.SIGKILL, "postmaster"), (3,)),
            ("kill -9 its proxy", signalled(signal.SIGKILL, "proxy"), (3,)),
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
            ("kill -9 the application", signalled(signal.SIGKILL, "recorded application"), (3,)),
            ("SIGINT", after(recording, signalled(signal.SIGINT)), (130,)),
        )
    ),
    Fault(
        name="kill -9 PostgreSQL's container",
        do=kill_container,
        # Compose takes the proxy's container away with it, and which of the two is noticed first is chance.
        expected=Expected(exits=(3,), marked=("failed",), line=r"^coldstart: .+"),
        phases=(Phase.HELD,),
        command=("run", str(SCENARIO), "--stack", "compose", "--no-charts"),
        needs=without_engine,
    ),
)
