"""`coldstart up`, `coldstart suspend` and `coldstart wake` as they are typed: what is said, and what is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from harness.postgres.folder import prefix

SHORT = ["--wake", "0.3", "--suspend-after", "0.5"]
PATIENCE_S = 20.0
NONE_IS_RUNNING = "coldstart: no coldstart up is running: start one in another terminal, coldstart up --wake 8\n"


def coldstart(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


class Up:
    """A running command, and what it has said."""

    def __init__(self, process: "subprocess.Popen[str]", out: Path) -> None:
        self.process = process
        self._out = out
        self.url = self.until(r"^(postgresql://\S+)$")
        self.port = int(re.findall(r":(\d+)/", self.url)[0])
        self.until("Ctrl-C stops it")

    @property
    def said(self) -> str:
        return self._out.read_text()

    def until(self, pattern: str) -> str:
        """Wait until it has said this; what the pattern's group matched."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.said, re.MULTILINE)) is None:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline_s, self.said
            time.sleep(0.02)
        return found.group(found.lastindex or 0)

    def family(self) -> list[psutil.Process]:
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]


@contextmanager
def running(tmp_path: Path, *options: str) -> Iterator[Up]:
    out = tmp_path / f"out-{len(list(tmp_path.glob('out-*')))}"
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "up", "--port", "0", *options],
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Up(process, out)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def query(url: str) -> float:
    """How long a connect and a statement took."""
    began_at_s = time.monotonic()
    with psycopg.connect(url, application_name="shop") as connection:
        connection.execute("SELECT 1")
    return time.monotonic() - began_at_s


def postgres_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{prefix('postgres')}*"))


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_line_says_when_it_sleeps_who_wakes_it_and_how_long_that_takes(tmp_path: Path) -> None:
    with running(tmp_path, *SHORT) as up:
        up.until(r"^\d\d:\d\d:\d\d  suspended$")
        assert query(up.url) >= 0.3
        up.until(r"^\d\d:\d\d:\d\d  waking, asked by 127\.0\.0\.1:\d+: awake in 0\.30 s\n.*  awake after 0\.3\d s\n")
        up.until(r"  it was shop as coldstart$")
        assert up.said.startswith(up.url)
        assert "its data is thrown away at the end\nsuspends after 0.5 s of quiet, wakes in 0.3 s\n" in up.said
        assert f"coldstart suspend --port {up.port}, coldstart wake --port {up.port}" in up.said


def test_another_terminal_suspends_and_wakes_it(tmp_path: Path) -> None:
    with running(tmp_path, "--wake", "0.3") as up:
        answers = [coldstart(command) for command in ("suspend", "suspend", "wake", "wake")]
        assert [answer.returncode for answer in answers] == [0, 0, 0, 0]
        said = [answer.stdout.strip() for answer in answers]
        assert [*said[:2], said[3]] == ["suspended", "suspended already", "awake already"]
        assert re.fullmatch(r"awake after 0\.\d\d s", said[2])
        up.until("waking, asked by coldstart wake: awake in 0.30 s")


def test_of_several_one_is_chosen_by_its_port(tmp_path: Path) -> None:
    with running(tmp_path) as one, running(tmp_path) as other:
        ports = ", ".join(f"--port {port}" for port in sorted((one.port, other.port)))
        unclear = coldstart("suspend")
        assert (unclear.returncode, unclear.stderr) == (
            2,
            f"coldstart: 2 coldstart up are running (allowed: {ports})\n",
        )
        wrong = coldstart("suspend", "--port", "1")
        assert wrong.stderr == f"coldstart: no coldstart up is running on port 1 (allowed: {ports})\n"
        assert coldstart("suspend", "--port", str(other.port)).stdout == "suspended\n"
        other.until("suspended")
        assert "suspended" not in one.said


@pytest.mark.parametrize("command", ["suspend", "wake"])
def test_without_one_running_it_is_a_line_and_a_killed_ones_file_is_swept(command: str, runtime: Path) -> None:
    left = runtime / f"{prefix('up')}left"
    left.mkdir(mode=0o700)
    (left / "lock").touch()
    (left / "state.json").write_text(json.dumps({"port": 5433, "api_port": 1, "pid": 1}))
    done = coldstart(command)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", NONE_IS_RUNNING)
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("state", ["active", "suspended"])
def test_nothing_is_left_of_it(tmp_path: Path, runtime: Path, how: signal.Signals, state: str) -> None:
    before = postgres_folders()
    with running(tmp_path, "--wake", "30") as up:
        family = up.family()
        assert len(family) >= 4
        connection = psycopg.connect(up.url)
        if state == "suspended":
            coldstart("suspend")
        up.process.send_signal(how)
        status = up.process.wait(timeout=PATIENCE_S)
        _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    connection.close()
    assert (status, alive) == (-signal.SIGKILL if how == signal.SIGKILL else 0, [])
    assert list(runtime.iterdir()) == []
    # Another test's may be in the making, and its processes come after its folder.
    deadline_s = time.monotonic() + PATIENCE_S
    while not (left := {one for one in postgres_folders() - before if not _is_used(one)}) <= set():
        assert time.monotonic() < deadline_s, left
        time.sleep(0.1)
    assert is_refused(up.port)
    assert "Traceback" not in up.said


def _is_used(folder: Path) -> bool:
    """Whether it is another test's."""
    return any(str(folder) in " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))


def test_a_ctrl_c_while_it_starts_leaves_nothing_either(tmp_path: Path, runtime: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "harness", "up", "--port", "0"], stdout=subprocess.PIPE)
    deadline_s = time.monotonic() + PATIENCE_S
    while not psutil.Process(process.pid).children() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE_S)[0] == b""
    assert process.returncode == 0
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--wake", "neo"], "coldstart: --wake: 'neo' is not a wake (allowed: seconds, "),
        (["--suspend-after", "0"], "suspend_after_s must be positive, got 0"),
        (["--on-suspend", "explode"], "'explode' is not one of"),
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--upstream", "mysql://secret@host/db"], "coldstart: upstream: is not a DSN (allowed: postgresql://"),
        (["--init", "nothing.sql"], "coldstart: nothing.sql: can't be read: No such file or directory"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(arguments: list[str], says: str) -> None:
    done = coldstart("up", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_a_port_that_is_taken_is_one_line_that_names_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = coldstart("up", "--port", str(port))
    allowed = "(allowed: another one, or 0 for any that is free)"
    assert done.stderr == f"coldstart: port {port} of 127.0.0.1: Address already in use {allowed}\n"
    assert done.returncode == 2


def test_on_a_terminal_one_line_is_drawn_again(tmp_path: Path) -> None:
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "up", "--port", "0", *SHORT],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(follower)
    shown = b""
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while "suspended · 0 connections · 0 wakes".encode() not in shown and time.monotonic() < deadline_s:
            shown += os.read(leader, 65_536)
        url = re.findall(rb"postgresql://\S+", shown)[0].decode()
        query(url)
        while b"1 wake, last 0.3" not in shown and time.monotonic() < deadline_s:
            shown += os.read(leader, 65_536)
        while b"by shop as coldstart" not in shown and time.monotonic() < deadline_s:
            shown += os.read(leader, 65_536)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
        os.close(leader)
    assert b"1 wake, last 0.3" in shown
    assert b"by shop as coldstart" in shown
