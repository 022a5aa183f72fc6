"""A command of coldstart's that a fault is done to: started in folders of its own, and looked for afterwards."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import psutil

CHECKOUT = Path(__file__).parent.parent
SCENARIO = Path(__file__).parent / "drill_scenario.py"
RUN = ("run", str(SCENARIO), "--stack", "embedded", "--no-charts")
MARK = "COLDSTART_DRILL"
"""In the environment of every process of one drill, whoever its parent has become."""
FILLER = ".filler"
"""The file that a disk is filled with."""
LIMIT_S = 90.0
GONE_LIMIT_S = 15.0
"""Within which everything must have ended after the command has."""
POLL_S = 0.003
BURSTS = 2
"""Of a trial."""
PARTS = {
    "supervisor": r"harness\.postgres\.supervisor",
    "postmaster": r"bin/postgres -D .* -c port=",
    "backend": r"^postgres: .*127\.0\.0\.1\(\d+\)",
    "proxy": r"-m harness\.(up\.)?proxy",
    "service": r"-m harness\.service",
    "Locust": r"-m locust ",
    "Locust worker": r"-m locust .*--worker",
    "recorded application": r"uvicorn_server|harness\.guest|coldstart_guest|guest/",
}
"""A part's command line."""


class Phase(StrEnum):
    """Of a run; recognised by its own files."""

    SET_UP = "set-up"
    WARM = "warm"
    HELD = "held"
    RELEASED = "released"
    WRITING = "writing"
    WHOLE = "whole"
    """The fault is there from the start, or the command has no phases."""


EVENTS = {Phase.WARM: '"burst_started"', Phase.HELD: '"first_attempt"', Phase.RELEASED: '"woken"'}


class MissedError(Exception):
    """The phase was over before the fault could be done: nothing was tried."""


@dataclass(slots=True)
class Drilled:
    """The command, while it runs and after."""

    name: str
    folder: Path
    process: "subprocess.Popen[bytes]"
    pids: set[int] = field(default_factory=set)
    """Every process of it that was seen."""
    segments_before: frozenset[str] = field(default_factory=lambda: frozenset(segments()))
    """Of System V, whoever made them: process ids are used again."""
    shared: list[str] = field(default_factory=list)
    """What its processes had in /dev/shm as the fault was done."""

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text(errors="replace")

    @property
    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.out.glob("*/manifest.json"))

    def until(self, phase: Phase, part: str | None) -> None:
        """Return as soon as the phase has begun, for a part as soon as it is there. Raises `MissedError`."""
        deadline_s = time.monotonic() + LIMIT_S
        while not self._is_in(phase, part):
            if self.process.poll() is not None:
                raise MissedError(f"{phase}: ended before ({self.process.returncode})")
            if time.monotonic() > deadline_s:
                raise MissedError(f"{phase}: not reached in {LIMIT_S:g} s")
            time.sleep(POLL_S)

    def _is_in(self, phase: Phase, part: str | None) -> bool:
        match phase:
            case Phase.WHOLE:
                return True
            case Phase.SET_UP:
                return bool(self.runs)
            case Phase.WRITING if part is None:
                return any(self.out.glob("*/*.parquet")) or any(self.out.glob("*/.*.parquet.new"))
            case Phase.WRITING:
                return 0 < BURSTS * self._trials() <= self._events().count('"burst_ended"')
            case _:
                return EVENTS[phase] in self._events()

    def _trials(self) -> int:
        return sum(len(json.loads((folder / "manifest.json").read_text())["trials"]) for folder in self.runs)

    def _events(self) -> str:
        text = ""
        for path in self.out.glob("*/events.jsonl"):
            try:
                text += path.read_text()
            except FileNotFoundError:
                continue
        return text

    def part(self, name: str) -> psutil.Process:
        """One of its processes, waited for. Raises `MissedError`."""
        pattern = re.compile(PARTS[name])
        deadline_s = time.monotonic() + LIMIT_S
        while self.process.poll() is None and time.monotonic() < deadline_s:
            for process in self.children():
                try:
                    parent = process.parent()
                    # A server's newest child still has the command line of its parent.
                    if pattern.search(_line(process)) and not (parent and pattern.search(_line(parent))):
                        return process
                except psutil.Error:
                    continue
            time.sleep(POLL_S)
        raise MissedError(f"no {name}")

    def children(self) -> list[psutil.Process]:
        try:
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        self.pids.update(process.pid for process in found)
        return found

    def look(self) -> None:
        """Remember its processes, and what they share in memory outside of their folders."""
        for process in self.children():
            try:
                maps = Path(f"/proc/{process.pid}/maps").read_text()
            except OSError:
                continue
            self.shared += sorted(set(re.findall(r"/dev/shm/(?:PostgreSQL|coldstart)\S*", maps)))  # noqa: S108 - looked for

    def wait(self) -> int | None:
        """Its exit status; None: it had to be killed."""
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return None

    def left(self) -> list[str]:
        """What is left once it has had time to go: processes (and so ports), folders, memory."""
        deadline_s = time.monotonic() + GONE_LIMIT_S
        while (left := self._left()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return left

    def _left(self) -> list[str]:
        processes = [f"process {words}" for words in marked(self.name).values()]
        places = [path for place in ("tmp", "runtime") for path in (self.folder / place).iterdir()]
        # A log that the message names is left on purpose.
        folders = [f"folder {path.name}" for path in places if path.name != FILLER and path.name not in self.stderr]
        return processes + folders + [f"segment {one}" for one in self._segments()] + self.shared

    def end(self) -> None:
        for process in marked(self.name):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        for segment in self._segments():
            # A server that is killed here has nobody left who would.
            subprocess.run(["ipcrm", "-m", segment], check=False, stderr=subprocess.DEVNULL)

    def _segments(self) -> list[str]:
        return [one for one, by in segments().items() if by in self.pids and one not in self.segments_before]


def _line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def marked(name: str) -> dict[psutil.Process, str]:
    """The processes of the drill of this name, with how their command lines begin."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == name and process.status() != psutil.STATUS_ZOMBIE:
                found[process] = " ".join(process.cmdline()[:4])
        except psutil.Error:
            continue
    return found


def segments() -> dict[str, int]:
    """The System V segments of this machine, and the process that made each."""
    table = Path("/proc/sysvipc/shm")
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    # key, shmid, perms, size, cpid, …
    return {words[1]: int(words[4]) for words in map(str.split, lines)}


@contextmanager
def drilled(
    name: str,
    command: Sequence[str],
    *,
    environment: Callable[[Path], Mapping[str, str]] = lambda _: {},
    prefix: Sequence[str] = (),
    to_out: bool = True,
    prepared: Callable[[Path], None] = lambda _: None,
    cwd: Path = CHECKOUT,
) -> Iterator[Drilled]:
    """The command, started; everything of it is ended and removed on leaving."""
    with tempfile.TemporaryDirectory(prefix="coldstart-drill-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        # PostgreSQL's own account must get through.
        folder.chmod(0o755)
        for place in ("out", "tmp", "runtime"):
            (folder / place).mkdir()
        prepared(folder)
        variables = {
            **{key: value for key, value in os.environ.items() if not key.startswith("DATABASE_")},
            MARK: name,
            "TMPDIR": str(folder / "tmp"),
            "XDG_RUNTIME_DIR": str(folder / "runtime"),
            **environment(folder),
        }
        argv = [*prefix, sys.executable, "-m", "harness", *command, *(["--out", str(folder / "out")] if to_out else [])]
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=cwd, env=variables,
                start_new_session=True,
            )  # fmt: skip
        run = Drilled(name, folder, process)
        _under_way.append(run)
        try:
            yield run
        finally:
            run.end()
            process.wait()
            _under_way.remove(run)


_under_way: list[Drilled] = []


def end_all() -> NoReturn:
    """End what is drilled at this moment, and this program, whose threads wait for it."""
    for run in tuple(_under_way):
        run.end()
        for place in ("out", "tmp"):
            subprocess.run(["umount", "-l", run.folder / place], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(run.folder, ignore_errors=True)
    os._exit(130)
