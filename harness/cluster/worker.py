"""What runs on a Dask worker: as many simulators as it has threads, and the trials that they play.

Virtual time sets the clocks of libraries and the interpreter's random numbers, so it has a process to itself: in the
worker's own, other threads would read those clocks and draw from those numbers.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from distributed import Worker, WorkerPlugin, get_worker

from harness.cluster.versions import check_versions, versions_here
from harness.converter import from_json
from harness.model.errors import TrialDiedError, UserError
from harness.model.times import Times
from harness.model.trial import Trial
from harness.processes.messages import PlayTrial, command_from
from harness.simulation.rows import Simulated
from harness.simulation.simulators import Simulators


@dataclass(frozen=True, slots=True)
class Played:
    """A trial's rows, and the lines that a person is to read about how they came to be."""

    rows: Simulated
    said: tuple[str, ...]


class SimulatorsPlugin(WorkerPlugin):
    """A run's simulators on one worker: there from the run's beginning, or the worker's, to its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._playing: set[asyncio.Task[Simulated]] = set()

    async def setup(self, worker: Worker) -> None:
        """Simulators start when they are first needed; their logs are in the folder that is the worker's own."""
        self._open = AsyncExitStack()
        logs = self._open.enter_context(TemporaryDirectory(prefix="coldstart-", dir=worker.local_directory))
        running = Simulators.running(worker.state.nthreads, logs=Path(logs))
        self._simulators = await self._open.enter_async_context(running)

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        """Ends the trials that nobody waits for any more, and the simulators."""
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
        await self._open.aclose()

    async def play(self, trial: Trial, times: Times) -> Played:
        """Raises as `Simulators.play` does."""
        said: list[str] = []
        task = asyncio.create_task(self._simulators.play(trial, times, said.append))
        self._playing.add(task)
        try:
            return Played(await task, tuple(said))
        finally:
            self._playing.discard(task)


_versions = cache(versions_here)


async def play(plugin: str, expected: Mapping[str, str], command: bytes) -> Played | UserError | TrialDiedError:
    """The task: the `PlayTrial` of this line, played by a simulator of the worker that the task is on.

    Returns `UserError` also when this worker, which may have come later than the run, has not the `expected`
    versions. Errors are returned because Dask logs one that is raised, as an error of the worker.
    """
    worker = get_worker()
    simulators = worker.plugins.get(plugin)
    if simulators is None:
        # This task was on its way here as the others were cancelled: nobody waits for it.
        return UserError("the run has ended", where=f"worker {worker.address}")
    assert isinstance(simulators, SimulatorsPlugin)
    told = command_from(command)
    assert isinstance(told, PlayTrial)
    try:
        check_versions(worker.address, _versions(), expected)
        trial = from_json(told.trial, Trial, where="a trial to play")
        times = from_json(told.times, Times, where="its times")
        return await simulators.play(trial, times)
    except UserError as error:
        # Without its cause, which need not be of a kind that can be sent.
        return UserError(error.what, where=error.where, allowed=error.allowed)
    except TrialDiedError as death:
        # Its log is on that machine, and gone with the run.
        return TrialDiedError(death.part, f"{death.what}, on the worker {worker.address}")
