"""A Dask scheduler, seen by the machine that has a run played on its workers."""

import asyncio
import logging
import secrets
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from distributed import Client, KilledWorker

from harness.cluster.versions import check_versions, versions_here
from harness.cluster.worker import Played, SimulatorsPlugin, play
from harness.converter import to_json
from harness.model.errors import StackError, TrialDiedError, UserError
from harness.model.times import Times
from harness.model.trial import Trial
from harness.processes.beside import beside
from harness.processes.messages import PlayTrial, to_line
from harness.simulation.rows import Simulated
from harness.simulation.simulators import Say, described

CONNECT_S = 10.0
WORKERS_S = 10.0
"""How long a scheduler without a worker is given to get its first."""
ANSWER_S = 30.0
"""How long workers may take to say what versions they have: they import the libraries for it."""
LEFT_S = 60.0
"""How long a run goes on without a worker: one that its nanny starts again is back within seconds."""
LOOK_S = 5.0
END_S = 10.0
TALKING = frozenset({"distributed", "tornado"})


@dataclass(frozen=True, slots=True)
class Workers:
    """How many there are, and how many trials they play at a time."""

    number: int
    threads: int


async def find_workers(address: str) -> Workers:
    """The workers of the scheduler at this address, each of which has this machine's versions of everything.

    Raises `UserError` when one has not, or the address can't be one, and `StackError` when no scheduler answers there
    or it has no worker.
    """
    async with _connected(address) as client:
        with _losing(address):
            threads = await _threads(client, address)
            await _check_versions(client, address)
        return Workers(len(threads), sum(threads.values()))


async def _threads(client: Client, address: str) -> dict[str, int]:
    """Of each worker, once there is one."""
    threads: dict[str, int] = {}
    try:
        async with asyncio.timeout(WORKERS_S):
            while not (threads := await client.nthreads()):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise StackError(_named(address), f"no worker has connected to it within {WORKERS_S:g} s") from None
    return dict(threads)


async def _check_versions(client: Client, address: str) -> None:
    expected = versions_here()
    async with asyncio.timeout(ANSWER_S):
        found = await client.run(versions_here, on_error="return")
        try:
            # It has no trial to play, but reads what the tasks are.
            await client.run_on_scheduler(versions_here)
        except ImportError as error:
            raise _unable(_named(address), error, expected) from error
    for worker, versions in sorted(found.items()):
        if isinstance(versions, Exception):
            raise _unable(f"worker {worker}", versions, expected)
        check_versions(worker, versions, expected)


def _unable(where: str, error: Exception, expected: Mapping[str, str]) -> UserError:
    """The error that says that something is not installed there."""
    allowed = f"pip install 'pg-coldstart[dask]=={expected['coldstart']}' there"
    return UserError(f"can't play trials: {error}", where=where, allowed=allowed)


class Scheduler:
    """Plays trials on its workers; as many as it is given at once, so whoever asks keeps that number small."""

    def __init__(self, client: Client, address: str, run: str) -> None:
        self._client = client
        self._address = address
        self._run = run
        self._expected = versions_here()
        self._suspects = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def running(cls, address: str) -> AsyncIterator[Self]:
        """Its workers have simulators while inside; on leaving, tasks that are not done are cancelled there.

        Raises `StackError` when there is no scheduler, or when there has been no worker for a minute.
        """
        run = f"coldstart-{secrets.token_hex(4)}"
        async with _connected(address) as client:
            scheduler = cls(client, address, run)
            try:
                with _losing(address):
                    await client.register_plugin(SimulatorsPlugin(run))
                async with beside(scheduler._watch()):
                    yield scheduler
            finally:
                await scheduler._leave()

    async def play(self, trial: Trial, times: Times, say: Say) -> Simulated:
        """The trial's rows, as `harness.simulation.simulators.Simulators.play` returns them, and as it raises.

        A trial with which workers die is played once more, and no other such trial at that time: Dask can't tell
        which of a worker's trials killed it. The second time is a `TrialDiedError`.
        """
        try:
            played = await self._played(trial, times)
        except KilledWorker as killed:
            say(f"{described(trial)}: {_deaths(killed)}; it is played once more")
            async with self._suspects:
                try:
                    played = await self._played(trial, times)
                except KilledWorker as again:
                    raise TrialDiedError(described(trial), f"{_deaths(again)}, and before that too") from None
        for line in played.said:
            say(line)
        return played.rows

    async def _played(self, trial: Trial, times: Times) -> Played:
        with _losing(self._address):
            command = PlayTrial(trial=to_json(trial), times=to_json(times), sampled=True)
            future = self._client.submit(
                play, self._run, self._expected, to_line(command),
                key=f"{self._run}-{trial.number}-{secrets.token_hex(4)}", pure=False,
            )  # fmt: skip
            try:
                played: Played | UserError | TrialDiedError = await future.result()
            finally:
                # What is played will be in the run's files, and what is not need not be played any more.
                future.release()
        if isinstance(played, Exception):
            raise played
        return played

    async def _watch(self) -> None:
        """Raises `StackError` once there has been no worker for a while: without one, tasks wait for ever."""
        left_s = 0.0
        while left_s < LEFT_S:
            await asyncio.sleep(LOOK_S)
            # A scheduler that is gone is told by the trials that it had.
            with suppress(OSError):
                left_s = 0.0 if await self._client.nthreads() else left_s + LOOK_S
        raise StackError(_named(self._address), f"no worker has been connected to it for {LEFT_S:g} s")

    async def _leave(self) -> None:
        if self._client.status == "running":
            # What can't be reached loses its simulators with its own end; a run may end before they are known there.
            with suppress(OSError, ValueError):
                async with asyncio.timeout(END_S):
                    await self._client.unregister_worker_plugin(self._run)


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[Client]:
    with _silent():
        client = Client(address, asynchronous=True, set_as_default=False, timeout=CONNECT_S)
        try:
            try:
                # Its own timeout does not see a server that accepts and is silent.
                async with asyncio.timeout(CONNECT_S + 1):
                    await client
            except ValueError as error:
                raise UserError(str(error), where="--scheduler", allowed="tcp://HOST:PORT") from error
            except OSError as error:
                what = f"does not answer: {error}" if str(error) else f"does not answer within {CONNECT_S:g} s"
                raise StackError(_named(address), what) from error
            except Exception as error:
                # What a worker answers, or another release of Dask.
                raise StackError(_named(address), f"answers as no scheduler does: {error}") from error
            yield client
        finally:
            with suppress(OSError):
                async with asyncio.timeout(END_S):
                    await client.close()


@contextmanager
def _losing(address: str) -> Iterator[None]:
    """What Dask raises inside, where the scheduler is gone, is a `StackError`."""
    try:
        yield
    except CancelledError as error:
        raise StackError(_named(address), "the connection to it was lost") from error
    except OSError as error:
        raise StackError(_named(address), str(error) or "no answer came in time, from it or from a worker") from error


@contextmanager
def _silent() -> Iterator[None]:
    """While inside, Dask writes nothing to the terminal: what a user needs to know of it is an error of ours."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in TALKING]
    loggers = [logger for name in names if not (logger := logging.getLogger(name)).disabled]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger in loggers:
            logger.disabled = False


def _named(address: str) -> str:
    return f"scheduler {address}"


def _deaths(killed: KilledWorker) -> str:
    """In words, after the trial's name."""
    deaths = killed.allowed_failures + 1
    return f"its worker died{'' if deaths == 1 else f' {deaths} times'} (the last was {killed.last_worker.address})"
