"""A sweep on the workers of a Dask scheduler has the rows of one on this machine, and fails in words."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.results import find_run, read_manifest, read_table
from harness.results.manifest import Manifest

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parent.parent.parent
STORY = ("cold_burst", "--requests", "30", "--over", "3", "--max-overflow", "0", "--wake", "4", "--no-charts")
SMALL = (*STORY, "--pool-size", "2:4:2", "--set", "pool_library=sqlalchemy,psycopg_pool")
"""Eight trials, of a tenth of a second each."""
LONG = ("cold_burst", "--requests", "3000", "--over", "300", "--wake", "4", "--no-charts", "--repeat", "20")
"""Hundreds of trials, of seconds each."""
TABLES = ("requests", "pool", "events")
AT_ONCE = """
import sys
import harness.cluster.scheduler as scheduler
scheduler.CONNECT_S = scheduler.WORKERS_S = 1.5
from harness.__main__ import main
main()
"""
LEFT = """
import harness.cluster.scheduler as scheduler
scheduler.LOOK_S, scheduler.LEFT_S = 0.2, 1.0
from harness.__main__ import main
main()
"""
LEAVE = """
import sys
from distributed import Client
with Client(sys.argv[1]) as client:
    client.retire_workers(list(client.scheduler_info()["workers"]))
"""
ON_THE_SCHEDULER = """
import sys
from distributed import Client
def ours(dask_scheduler):
    return [name for name in [*dask_scheduler.tasks, *dask_scheduler.worker_plugins] if name.startswith("coldstart")]
with Client(sys.argv[1]) as client:
    print(client.run_on_scheduler(ours))
"""
WITHOUT_DASK = """
import sys
sys.modules["distributed"] = None
from harness.__main__ import main
main()
"""
OLDER = """
import harness.cluster.{module} as module
def dask_setup(worker):
    versions = module.{name}
    module.{name} = lambda: versions() | {{"sqlalchemy": "1.4.0"}}
"""
DYING = """
import os, signal
from harness.cluster.worker import SimulatorsPlugin
def dask_setup(worker):
    play = SimulatorsPlugin.play
    async def dying(self, trial, times):
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return await play(self, trial, times)
    SimulatorsPlugin.play = dying
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A scheduler with its workers, of the test's own."""

    address: str
    process: psutil.Process

    def simulators(self) -> list[psutil.Process]:
        """Those that play trials, below the workers."""
        return [one for one in self.process.children(recursive=True) if "harness.simulation" in _words(one)]


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


@contextmanager
def cluster_of(workers: int, *, failures: int = 3, preload: Path | None = None) -> Iterator[Cluster]:
    options = ["--failures", str(failures), *([] if preload is None else ["--preload", str(preload)])]
    words = [sys.executable, "-m", "benchmarks.local_cluster", str(workers), *options]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        everything = [psutil.Process(process.pid)]
        try:
            address = process.stdout.readline().decode().strip()
            assert address.startswith("tcp://127.0.0.1:")
            yield Cluster(address, everything[0])
        finally:
            with suppress(psutil.NoSuchProcess):
                everything += everything[0].children(recursive=True)
            process.stdin.close()
            _, alive = psutil.wait_procs(everything, timeout=30)
            for one in alive:
                one.kill()
    assert not alive, "a cluster that did not end by itself"


@pytest.fixture(scope="module")
def one_worker() -> Iterator[Cluster]:
    with cluster_of(1) as running:
        yield running


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Cluster]:
    with cluster_of(2) as running:
        yield running


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What `SMALL` prints on this machine, and where its run is."""
    out = tmp_path_factory.mktemp("here")
    done = sweep(*SMALL, out=out)
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def sweep(*words: str, out: Path, code: str | None = None) -> "subprocess.CompletedProcess[str]":
    program = ["-m", "harness"] if code is None else ["-c", code]
    command = [sys.executable, *program, "sweep", *words, "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)


@contextmanager
def sweeping(*words: str, out: Path, code: str | None = None) -> Iterator["subprocess.Popen[str]"]:
    program = ["-m", "harness"] if code is None else ["-c", code]
    command = [sys.executable, *program, "sweep", *words, "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], Any], *, limit_s: float = 60.0) -> Any:
    """What the condition is, once it is something."""
    began_s = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - began_s < limit_s
        time.sleep(0.05)
    return found


def digests(out: Path) -> dict[str, str]:
    """Of each table of the run, its rows in the order of the trials: trials end in any."""
    folder = find_run(runs=out)
    found = {}
    for name in TABLES:
        rows = read_table(folder, name)
        lines = sorted((row["trial"], index, json.dumps(row)) for index, row in enumerate(rows.to_pylist()))
        found[name] = sha256("\n".join(line for _, _, line in lines).encode()).hexdigest()
        assert lines or name == "events"
    return found


def manifest(out: Path) -> Manifest:
    return read_manifest(find_run(runs=out))


def said(done: "subprocess.CompletedProcess[str]", status: int) -> str:
    """The last line on standard error, after which nothing else was said there."""
    assert done.returncode == status, done.stderr
    for word in ("Traceback", "distributed.", "Task exception", "Warning"):
        assert word not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("workers", [1, 2])
def test_its_rows_are_those_of_this_machine_however_many_workers_there_are(
    request: pytest.FixtureRequest, here: tuple[str, Path], tmp_path: Path, workers: int
) -> None:
    cluster: Cluster = request.getfixturevalue("one_worker" if workers == 1 else "two_workers")
    done = sweep(*SMALL, "--scheduler", cluster.address, out=tmp_path)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path) == digests(here[1])
    assert done.stdout.partition("Results:")[0] == here[0].partition("Results:")[0]
    ours, theirs = manifest(here[1]), manifest(tmp_path)
    assert (theirs.stack, theirs.status, theirs.versions) == (ours.stack, ours.status, ours.versions)
    assert theirs.plan == ours.plan
    assert all(trial.wall_s is not None for trial in theirs.trials)
    assert theirs.parallel == 2 * workers
    how_many = f"{workers} worker{'s' if workers > 1 else ''}"
    assert f"on {how_many} of the Dask scheduler {cluster.address}, 2 for each of {workers} thread" in theirs.notes[1]
    assert not cluster.simulators(), "what the run had started on the workers"


def test_what_was_cut_short_here_goes_on_there(one_worker: Cluster, here: tuple[str, Path], tmp_path: Path) -> None:
    copied = tmp_path / "runs" / find_run(runs=here[1]).name
    shutil.copytree(find_run(runs=here[1]), copied)
    document = json.loads((copied / "manifest.json").read_text())
    for trial in document["trials"][3:]:
        trial["wall_s"] = None
    (copied / "manifest.json").write_text(json.dumps({**document, "status": "aborted"}))
    resume = [sys.executable, "-m", "harness", "resume", str(copied), "--no-charts", "--scheduler"]
    done = subprocess.run([*resume, one_worker.address], capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(
        "3 of 8 trials are kept; 5 are played, 2 at a time: on 1 worker of the Dask scheduler "
    )
    assert digests(tmp_path / "runs") == digests(here[1])
    assert done.stdout.partition("Results:")[0] == here[0].partition("Results:")[0]


LISTENING = """
from harness.scenario import *
from harness.wake import profile
SCENARIO = Scenario(
    name="listening", wake=profile("neon", latency_s=4.0), listener=QueueListener(connect_timeout_s=2), pools=("2+0",),
    timeline=(Warm(), Suspend(), Burst(requests=5, over_s=1)), connect_time_s=3.0,
)
"""


def test_a_trials_user_error_is_told_as_on_this_machine(one_worker: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "listening.py"
    file.write_text(LISTENING)
    words = (str(file), "--pool-size", "2", "--max-overflow", "0", "--no-charts")
    here = said(sweep(*words, out=tmp_path / "here"), 2)
    there = said(sweep(*words, "--scheduler", one_worker.address, out=tmp_path / "there"), 2)
    assert there == here
    assert "listener: its first attempt to connect failed" in there
    assert manifest(tmp_path / "there").status == "failed"


@pytest.mark.parametrize("who", ["worker", "simulator"])
def test_what_is_killed_in_the_middle_loses_no_row(
    one_worker: Cluster, here: tuple[str, Path], tmp_path: Path, who: str
) -> None:
    with sweeping(*SMALL, "--scheduler", one_worker.address, "--parallel", "1", out=tmp_path) as process:
        # It has imported nothing yet, and a trial is waiting for it.
        simulator: psutil.Process = until(one_worker.simulators)[0]
        (simulator.parent() if who == "worker" else simulator).kill()
        _, stderr = process.communicate(timeout=150)
    assert process.returncode == 0, stderr
    simulator.wait(10)
    assert ("its process was killed by SIGKILL; it is played once more" in stderr) == (who == "simulator")
    assert digests(tmp_path) == digests(here[1])
    assert manifest(tmp_path).parallel == 1
    assert f"as asked, on 1 worker of the Dask scheduler {one_worker.address}" in manifest(tmp_path).notes


def test_a_trial_that_kills_each_worker_is_told_by_its_name_and_loses_no_other(tmp_path: Path) -> None:
    preload = tmp_path / "dying.py"
    preload.write_text(DYING)
    with cluster_of(1, failures=0, preload=preload) as running:
        done = sweep(*SMALL, "--scheduler", running.address, out=tmp_path / "runs")
    line = said(done, 3)
    assert re.match(r"coldstart: trial 1 \(2\+0, awake, seed 1\): its worker died \(the last was tcp://.*\), and", line)
    run = manifest(tmp_path / "runs")
    assert run.status == "failed"
    assert [trial.number for trial in run.trials if trial.wall_s is None] == [1]
    assert any("trial 1 " in note and note.endswith("it is played once more") for note in run.notes)


def test_a_worker_with_another_version_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    preload = tmp_path / "older.py"
    preload.write_text(OLDER.format(module="versions", name="library_versions"))
    with cluster_of(1, preload=preload) as running:
        done = sweep(*SMALL, "--scheduler", running.address, out=tmp_path / "runs")
    line = said(done, 2)
    assert re.match(r"coldstart: worker tcp://127\.0\.0\.1:\d+: has sqlalchemy 1\.4\.0, and this machine ", line)
    assert not (tmp_path / "runs").exists()
    assert len(done.stderr.splitlines()) == 1


def test_a_worker_that_comes_later_with_another_version_plays_nothing(tmp_path: Path) -> None:
    preload = tmp_path / "older.py"
    preload.write_text(OLDER.format(module="worker", name="_versions"))
    with cluster_of(1, preload=preload) as running:
        line = said(sweep(*SMALL, "--scheduler", running.address, out=tmp_path / "runs"), 2)
    assert "has sqlalchemy 1.4.0, and this machine " in line
    run = manifest(tmp_path / "runs")
    assert run.status == "failed"
    assert all(trial.wall_s is None for trial in run.trials)


def test_a_scheduler_without_workers_is_told_after_some_seconds(tmp_path: Path) -> None:
    with cluster_of(0) as running:
        done = sweep(*SMALL, "--scheduler", running.address, out=tmp_path / "runs", code=AT_ONCE)
    assert said(done, 3) == f"coldstart: scheduler {running.address}: no worker has connected to it within 1.5 s"
    assert not (tmp_path / "runs").exists()


@contextmanager
def silent_server() -> Iterator[str]:
    """It accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def web_server() -> Iterator[str]:
    """It answers whatever it is asked as a web server does, once to each that connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(64)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def nobody() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    yield address


@pytest.mark.parametrize("there", [nobody, silent_server, web_server])
def test_where_no_scheduler_answers_one_line_says_so(tmp_path: Path, there: Callable[[], Any]) -> None:
    with there() as address:
        done = sweep(*SMALL, "--scheduler", address, out=tmp_path / "runs", code=AT_ONCE)
    assert said(done, 3).startswith(f"coldstart: scheduler {address}: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_worker_is_no_scheduler(one_worker: Cluster, tmp_path: Path) -> None:
    below = one_worker.process.children(recursive=True)
    ports = {
        connection.laddr.port
        for process in below
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert ports
    for port in ports:
        done = sweep(*SMALL, "--scheduler", f"tcp://127.0.0.1:{port}", out=tmp_path / "runs", code=AT_ONCE)
        assert said(done, 3).startswith(f"coldstart: scheduler tcp://127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ("--scheduler", "8786"),
            None,
            "--scheduler: missing port number in address '8786' (allowed: tcp://HOST:PORT)",
        ),
        (("--scheduler", "http://127.0.0.1:8786"), None, "--scheduler: unknown address scheme 'http'"),
        (
            ("--scheduler", "tcp://127.0.0.1:1", "--app", "main:app", "--app-dir", f"{ROOT / 'examples' / 'minimal'}"),
            None,
            "--scheduler: an application of your own is not on a scheduler's workers",
        ),
        (
            ("--scheduler", "tcp://127.0.0.1:1"),
            WITHOUT_DASK,
            "--scheduler: needs the package 'distributed', which is not installed (allowed: pip install "
            "'pg-coldstart[dask]')",
        ),
    ],
    ids=["no address", "not Dask's", "an application", "without the extra"],
)
def test_what_can_not_be_is_refused_in_one_line(
    tmp_path: Path, words: Sequence[str], code: str | None, says: str
) -> None:
    done = sweep(*SMALL, *words, out=tmp_path / "runs", code=code)
    assert said(done, 2).startswith(f"coldstart: {says}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_scheduler_that_is_lost_in_the_middle_leaves_a_failed_run(tmp_path: Path) -> None:
    with cluster_of(1) as running:
        with sweeping(*LONG, "--scheduler", running.address, out=tmp_path) as process:
            simulators = until(running.simulators)
            below = running.process.children(recursive=True)
            running.process.kill()
            _, stderr = process.communicate(timeout=60)
        # Its workers notice by themselves, and with them what they have started.
        _, alive = psutil.wait_procs([*below, *simulators], timeout=60)
        assert not alive
    done = subprocess.CompletedProcess("", process.returncode, "", stderr)
    assert said(done, 3) == f"coldstart: scheduler {running.address}: the connection to it was lost"
    assert manifest(tmp_path).status == "failed"


def test_when_the_last_worker_has_left_a_run_does_not_wait_for_ever(tmp_path: Path) -> None:
    with cluster_of(1) as running, sweeping(*LONG, "--scheduler", running.address, out=tmp_path, code=LEFT) as process:
        until(running.simulators)
        subprocess.run([sys.executable, "-c", LEAVE, running.address], check=True, capture_output=True, timeout=60)
        _, stderr = process.communicate(timeout=60)
        assert not running.simulators()
    done = subprocess.CompletedProcess("", process.returncode, "", stderr)
    assert said(done, 3) == f"coldstart: scheduler {running.address}: no worker has been connected to it for 1 s"
    assert manifest(tmp_path).status == "failed"


def test_ctrl_c_keeps_the_run_and_ends_what_it_has_on_the_workers(one_worker: Cluster, tmp_path: Path) -> None:
    with sweeping(*LONG, "--scheduler", one_worker.address, out=tmp_path) as process:
        until(one_worker.simulators)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)
        assert time.monotonic() - began_s < 20
    done = subprocess.CompletedProcess("", process.returncode, stdout, stderr)
    said(done, 130)
    assert "The sweep was aborted" in stdout
    assert manifest(tmp_path).status == "aborted"
    assert not one_worker.simulators()
    asked = [sys.executable, "-c", ON_THE_SCHEDULER, one_worker.address]
    assert subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout == "[]\n"
