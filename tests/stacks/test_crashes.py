"""A simulator that dies takes only its own trial along, and that is played once more, aloud."""

import asyncio
import json
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.converter import to_json
from harness.library import load_scenario
from harness.model.errors import TrialDiedError
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.times import Times
from harness.model.trial import Trial
from harness.processes.messages import PlayTrial, to_line
from harness.run import FinishedRun, execute
from harness.simulation.rows import Simulated
from harness.simulation.simulators import SERVICE, Program, Simulators
from harness.simulation.trial import simulate
from harness.stacks.base import RunOptions

CRASHING = """
    import ctypes, os, resource, signal, sys
    from pathlib import Path
    import harness.simulation.__main__ as simulator

    how, numbers, deaths, counted = sys.argv[1], sys.argv[2].split(), int(sys.argv[3]), Path(sys.argv[4])
    simulate = simulator.simulate

    def crashing(trial, *times, **options):
        died = len(counted.read_text()) if counted.exists() else 0
        if str(trial.number) in numbers and died < deaths:
            counted.write_text("x" * (died + 1))
            match how:
                case "crash":
                    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                    ctypes.string_at(0)
                case "kill": os.kill(os.getpid(), signal.SIGKILL)
                case "bug": raise ZeroDivisionError("an injected bug")
                case "noise": print("not a record", flush=True)
        return simulate(trial, *times, **options)

    simulator.simulate = crashing
    simulator.main()
"""


class Watching:
    """A progress that remembers its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def phase(self, trial: Trial, phase: str) -> None: ...

    def request_ended(self, trial: Trial, outcome: str) -> None: ...

    def trial_ended(self, trial: Trial) -> None: ...


@pytest.fixture
def dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the simulators that play these trials die so often, in this way."""

    def injected(how: str, trials: list[Trial], *, deaths: int) -> None:
        script = tmp_path / "crashing.py"
        script.write_text(textwrap.dedent(CRASHING))
        numbers = " ".join(str(trial.number) for trial in trials)
        argv = (sys.executable, str(script), how, numbers, str(deaths), str(tmp_path / "deaths"))
        for place in ("harness.stacks.simulated.SERVICE", "harness.search.playing.SERVICE"):
            monkeypatch.setattr(place, Program(argv=argv))

    return injected


def plan() -> PlannedRun:
    pools = tuple(PoolConfiguration.from_short(text) for text in ("2+0", "5+0", "10+5"))
    overrides = Overrides(pools=pools, requests=20, over_s=2.0)
    return PlannedRun(scenario=load_scenario("cold_burst"), overrides=overrides, real_time=False)


def small_pools() -> list[Trial]:
    """The trials of the pool of five, without its control."""
    return [trial for trial in plan().trials if trial.pool.pool_size == 5 and not trial.is_control]


def played(out: Path, watching: Watching, parallel: int | None = None) -> FinishedRun:
    options = RunOptions(parallel=parallel)
    return execute(plan(), stack="simulated", options=options, progress=watching, out=out, charts=False)


def rows_of(run: FinishedRun) -> bytes:
    return (run.folder / "requests.parquet").read_bytes()


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("crash", "was killed by SIGSEGV: Segmentation fault, File "),
        ("kill", "was killed by SIGKILL"),
        ("bug", "ended with status 1: ZeroDivisionError: an injected bug"),
        ("noise", "wrote a line that is not a record: 'not a record'"),
    ],
)
def test_a_trial_whose_process_died_is_played_once_more(
    tmp_path: Path, dies: Any, how: str, words: str, parallel: int
) -> None:
    whole = played(tmp_path / "whole", Watching())
    # One trial only: two that died at the same moment would both be the first to die.
    trial = small_pools()[0]
    dies(how, [trial], deaths=1)
    watching = Watching()
    run = played(tmp_path / "died", watching, parallel)
    (line,) = [line for line in watching.lines if "its process" in line]
    assert line.startswith(f"trial {trial.number} (5+0, wake ")
    assert ", seed 1): its process " + words in line
    assert line.endswith("; it is played once more")
    assert line in run.notes
    assert line in json.loads((run.folder / "manifest.json").read_text())["notes"]
    assert run.status == "complete"
    assert sorted(rows_of(run)) == sorted(rows_of(whole)) if parallel == 2 else rows_of(run) == rows_of(whole)


def test_the_second_death_is_an_error_with_the_trial_s_name_and_loses_no_other(tmp_path: Path, dies: Any) -> None:
    died = small_pools()
    dies("crash", died, deaths=99)
    with pytest.raises(TrialDiedError) as raised:
        played(tmp_path, Watching())
    assert f"trial {died[0].number} (5+0, wake " in str(raised.value)
    assert "its process was killed by SIGSEGV: Segmentation fault" in str(raised.value)
    assert str(raised.value).count(", twice (log: ") == 1
    (folder,) = tmp_path.glob("*-cold_burst-simulated-*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    lost = {trial["number"] for trial in manifest["trials"] if trial["wall_s"] is None}
    assert lost == {trial.number for trial in died}
    assert len([note for note in manifest["notes"] if ", twice" in note]) == len(died)


async def both(trial: Trial, times: Times, logs: Path) -> tuple[Simulated, Simulated]:
    """The same trial by a simulator, with and without the pool's timeline."""
    async with Simulators.running(1, logs=logs) as running:
        sampled = await running.play(trial, times, pytest.fail)
        return sampled, await running.play(trial, times, pytest.fail, sampled=False)


def test_a_simulator_plays_what_this_process_would_play(tmp_path: Path) -> None:
    story = plan()
    trial = story.trials[0]
    times = story.times(trial.story)
    sampled, unsampled = asyncio.run(both(trial, times, tmp_path))
    here = simulate(trial, times)
    assert sampled == here
    assert (unsampled.requests, unsampled.pool) == (here.requests, [])
    assert not list(tmp_path.iterdir()), "logs that say nothing"


def test_it_dies_with_its_parent_in_the_middle_of_a_trial() -> None:
    """Its stdin ends when the parent is gone, kill -9 included; a trial may take minutes."""
    with subprocess.Popen(SERVICE.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write(_endless(plan()))
        process.stdin.flush()
        time.sleep(0.5)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10) == 0


def _endless(of: PlannedRun) -> bytes:
    long = replace(of.overrides, requests=100_000, over_s=100_000.0)
    trial = replace(of, overrides=long).trials[0]
    return to_line(PlayTrial(trial=to_json(trial), times=to_json(Times()), sampled=False))
