"""Whether a run is still being written: the process that writes it holds a lock, whatever process has its id by now."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.analysis import load
from harness.model.plan import PlannedRun
from harness.model.status import RunStatus
from harness.model.wake import profile
from harness.results import RunWriter, find_run
from harness.results.lock import LOCK
from harness.scenario import Burst, Scenario, Suspend, Warm

SCENARIO = Scenario(
    name="small",
    wake=profile("neon", latency_s=2.0),
    pools=("5+0",),
    timeline=(Warm(), Suspend(), Burst(requests=4, over_s=2)),
)
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_run_lock import written
written(Path(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def written(out: Path) -> RunWriter:
    plan = PlannedRun(scenario=SCENARIO, real_time=True)
    return RunWriter.create(out, plan=plan, stack="embedded", versions={}, parallel=1)


def killed(out: Path) -> Path:
    subprocess.run([sys.executable, "-c", KILLED, f"{Path(__file__).parent}", f"{out}"], check=False)
    return find_run(runs=out)


def status(folder: Path) -> RunStatus:
    return load(folder).manifest.status


def test_a_killed_run_whose_process_id_somebody_has_again_is_not_running(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    manifest = folder / "manifest.json"
    document = json.loads(manifest.read_text())
    # This very test's process lives.
    manifest.write_text(json.dumps({**document, "pid": os.getpid()}))
    assert status(folder) is RunStatus.KILLED


def test_a_run_that_is_written_is_running_and_its_readers_do_not_disturb_it(tmp_path: Path) -> None:
    run = written(tmp_path)
    assert [status(run.folder), status(run.folder)] == [RunStatus.RUNNING] * 2
    run.close(RunStatus.COMPLETE)
    assert status(run.folder) is RunStatus.COMPLETE
    assert not (run.folder / LOCK).exists()


def test_a_child_of_the_writer_does_not_keep_the_lock(tmp_path: Path) -> None:
    code = KILLED.replace("os.kill(", "import subprocess; print(subprocess.Popen(['sleep', '60']).pid); os.kill(", 1)
    argv = [sys.executable, "-u", "-c", code, f"{Path(__file__).parent}", f"{tmp_path}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        child = int(writer.stdout.readline())
        writer.wait()
        try:
            assert status(find_run(runs=tmp_path)) is RunStatus.KILLED
        finally:
            os.kill(child, 9)


def test_a_run_of_an_older_version_is_known_by_its_process(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    (folder / LOCK).unlink()
    assert status(folder) is RunStatus.KILLED
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "pid": os.getpid()}))
    assert status(folder) is RunStatus.RUNNING


@pytest.mark.parametrize("opened", range(1, 6))
def test_a_run_that_is_killed_as_it_begins_can_be_read_or_is_no_run(tmp_path: Path, opened: int) -> None:
    dying = f"""
import builtins, io, os, pathlib, signal
real, count = pathlib.Path.open, 0
def opening(self, *rest, **more):
    global count
    if str(self).startswith({str(tmp_path)!r}):
        count += 1
        if count == {opened}:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *rest, **more)
pathlib.Path.open = opening
"""
    code = dying + KILLED
    subprocess.run([sys.executable, "-c", code, f"{Path(__file__).parent}", f"{tmp_path}"], check=False)
    for folder in (path.parent for path in tmp_path.glob("*/manifest.json")):
        run = load(folder)
        assert run.manifest.status is RunStatus.KILLED
        assert len(run.requests) == 0
