"""Fault drills: a real, small run, one fault in one of its phases, and a look at what is left of it.

Each drill is appended to a file of JSON lines, and the tables of docs/reliability.md count that file: rounds add up,
and the drill that was tried least often is the next.
"""

import argparse
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from uuid import uuid4

from benchmarks.drill_faults import FAULTS, Expected, Fault
from benchmarks.drill_run import CHECKOUT, Drilled, MissedError, Phase, drilled, end_all
from benchmarks.report import RELIABILITY_PAGE, write_table
from harness.analysis import load
from harness.model.errors import UserError
from harness.model.exit_status import EXIT_UNKNOWN

RESULTS = CHECKOUT / "benchmarks" / "drills.jsonl"
MISSES = 3
"""How often a drill whose phase was over too soon is begun anew."""


@dataclass(slots=True, kw_only=True)
class Drill:
    """One fault in one phase, and what came of it: a line of the file."""

    fault: str
    phase: str
    took_s: float = 0.0
    exit_status: int | None = None
    line: str = ""
    """The last on standard error, where something was not as expected."""
    marked: list[str] = field(default_factory=list)
    """The status of each run in its manifest."""
    unexpected: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missed: str = ""
    """Why the fault could not be done; such a drill does not count."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault is done in each phase")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORDS", help="faults whose name has these words"
    )
    parser.add_argument("--phase", action="append", default=[], choices=[phase.value for phase in Phase])
    parser.add_argument("--jobs", type=int, default=1, help="drills at a time")
    parser.add_argument("--minutes", type=float, help="begin no drill after so long")
    parser.add_argument("--short", action="store_true", help="each fault once, in one of its phases")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that the drills are appended to")
    parser.add_argument("--table", action="store_true", help="only write the tables of docs/reliability.md")
    given = parser.parse_args()
    # Whoever starts this in the background has it ignored, and with it every command that is drilled.
    for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_, lambda *_: end_all())
    if given.table:
        write_tables(read(given.results))
        return 0
    chosen = [
        (fault, phase)
        for fault in FAULTS
        for phase in fault.phases
        if all(words in fault.name for words in given.only) and (not given.phase or phase in given.phase)
    ]
    for fault in {fault.name: fault for fault, _ in chosen}.values():
        if reason := fault.needs():
            print(f"left out: {fault.name}: {reason}", flush=True)
    chosen = [(fault, phase) for fault, phase in chosen if not fault.needs()]
    if given.short:
        chosen = one_phase_each(chosen)
    deadline_s = time.monotonic() + 60 * given.minutes if given.minutes is not None else float("inf")
    bad = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for number in range(given.rounds):
            tried = Counter((drill.fault, drill.phase) for drill in read(given.results))
            by_fault = Counter(name for name, _ in tried.elements())
            ordered = sorted(chosen, key=lambda one: (tried[one[0].name, one[1].value], by_fault[one[0].name]))
            under_way = [pool.submit(drill_before, deadline_s, fault, phase) for fault, phase in ordered]
            for done in as_completed(under_way):
                if (drill := done.result()) is not None:
                    append(given.results, drill)
                    bad += not drill.missed and bool(drill.unexpected or drill.left)
                    say(number, drill)
            if time.monotonic() > deadline_s:
                break
    return 1 if bad else 0


def one_phase_each(chosen: Sequence[tuple[Fault, Phase]]) -> list[tuple[Fault, Phase]]:
    """Each fault in one phase, the phases in turn."""
    faults = list({fault.name: fault for fault, _ in chosen}.values())
    return [(fault, fault.phases[number % len(fault.phases)]) for number, fault in enumerate(faults)]


def drill_before(deadline_s: float, fault: Fault, phase: Phase) -> Drill | None:
    """None: there is no time left for it."""
    drill: Drill | None = None
    for _ in range(MISSES):
        if time.monotonic() > deadline_s:
            break
        drill = drill_once(fault, phase)
        if not drill.missed:
            break
    return drill


def drill_once(fault: Fault, phase: Phase) -> Drill:
    """Start the command, do the fault in the phase, and look at what comes of it."""
    drill = Drill(fault=fault.name, phase=phase.value)
    began_s = time.monotonic()
    try:
        with drilled(
            uuid4().hex,
            fault.command,
            environment=fault.environment,
            prefix=fault.prefix(),
            to_out=fault.to_out,
            prepared=fault.prepared,
        ) as run:
            try:
                run.until(phase, fault.part)
                fault.do(run, phase)
                drill.exit_status = run.wait()
                judge(drill, run, fault.expects(phase))
            except MissedError as missed:
                drill.missed = str(missed)
                drill.line = last_line(run)
            finally:
                run.end()
                fault.ended(run.folder)
    except Exception as error:  # noqa: BLE001 - of the drill itself: the others go on, and it counts as not as expected
        drill.unexpected.append(f"{type(error).__name__}: {error}")
    drill.took_s = round(time.monotonic() - began_s, 1)
    return drill


def judge(drill: Drill, run: Drilled, expected: Expected) -> None:
    """Hold what came of it against what is expected."""
    line, drill.left = last_line(run), run.left()
    wrong = drill.unexpected
    if drill.exit_status is None:
        wrong.append("did not end")
    elif drill.exit_status not in expected.exits and not (drill.exit_status == EXIT_UNKNOWN and 0 in expected.exits):
        # Wherever a run may end as if nothing had been, a busy machine may have made it no measurement.
        wrong.append(f"exit status {drill.exit_status}")
    if "Traceback" in run.stderr + run.stdout:
        wrong.append("a traceback: " + run.stderr[-1000:])
    if drill.exit_status in (2, 3) and not re.search(expected.line, line):
        wrong.append(f"the line {line!r}")
    for folder in run.runs:
        try:
            kept = load(folder)
        except UserError as error:
            wrong.append(f"can't be read: {error}")
            continue
        drill.marked.append(kept.manifest.status.value)
        if kept.manifest.status.value not in expected.marked:
            wrong.append(f"marked {kept.manifest.status.value}")
    if expected.marked and expected.kept and not drill.marked:
        wrong.append("no run is kept")
    if wrong:
        drill.line = line


def last_line(run: Drilled) -> str:
    return (run.stderr.strip().splitlines() or [""])[-1]


def say(number: int, drill: Drill) -> None:
    ended = f"exit status {drill.exit_status} {'/'.join(drill.marked)}"
    if drill.missed:
        ended = f"missed: {drill.missed}"
    wrong = "".join(f"\n    {what}" for what in (*drill.unexpected, *(f"left: {one}" for one in drill.left)))
    print(f"{number + 1}  {drill.fault}, {drill.phase}: {ended}, {drill.took_s:g} s{wrong}", flush=True)


_writing = Lock()


def append(results: Path, drill: Drill) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    with _writing, results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({key: value for key, value in asdict(drill).items() if value not in ("", [])}) + "\n")


def read(results: Path) -> list[Drill]:
    """The drills in the file that count."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.is_file() else []
    return [drill for drill in (Drill(**json.loads(line)) for line in lines) if not drill.missed]


def write_tables(drills: Sequence[Drill]) -> None:
    write_table(
        "drills-expected", ("fault", "exit status", "the run is marked"), list(expectations()), page=RELIABILITY_PAGE
    )
    phases = list(Phase)
    rows = []
    for fault in FAULTS:
        cells = [cell([d for d in drills if d.fault == fault.name and d.phase == phase]) for phase in phases]
        rows.append([fault.name, *cells, cell([d for d in drills if d.fault == fault.name])])
    rows.append(["all", *(cell([d for d in drills if d.phase == phase]) for phase in phases), cell(drills)])
    write_table("drills", ("fault", *phases, "all"), rows, page=RELIABILITY_PAGE)


def expectations() -> Iterator[list[str]]:
    for fault in FAULTS:
        expected = fault.expected
        row = [fault.name, either(expected.exits), marks(expected)]
        for phase, other in fault.instead.items():
            row[1] += f"; {phase}: {either(other.exits)}"
            row[2] += f"; {phase}: {marks(other)}"
        yield row


def marks(expected: Expected) -> str:
    return (either(expected.marked) or "–") + ("" if expected.kept else ", or there is none")


def either(values: Sequence[object]) -> str:
    """Its statuses in words; below zero a signal's name."""
    words = [signal.Signals(-one).name if isinstance(one, int) and one < 0 else str(one) for one in values]
    return " or ".join(words)


def cell(drills: Sequence[Drill]) -> str:
    """How often it was tried, how often it ended as expected, how often something was left."""
    if not drills:
        return ""
    return f"{len(drills)} / {sum(not d.unexpected for d in drills)} / {sum(bool(d.left) for d in drills)}"


if __name__ == "__main__":
    sys.exit(main())
