"""The application's own thread: what requests compute on it, in which order, and what counts the steps."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.util import greenlet_spawn

from harness.guest.instance import COMPUTING, Computing, Costs, Processor
from harness.recording import CONNECTING
from harness.simulation.cores import Cores
from harness.simulation.loop import VirtualLoop, run

COSTS = {"read": Costs(held_s=0.3, connecting_s=0.5), CONNECTING: Costs(connecting_s=0.2)}


def played(request: Callable[[Processor], None], *, kinds: tuple[str | None, ...], cores: int = 2) -> list[float]:
    """When each of these requests, begun together, has ended; before that one of each kind is counted."""
    ended: list[float] = []

    async def one(loop: VirtualLoop, processor: Processor, kind: str | None, ended: list[float]) -> None:
        COMPUTING.set(None if kind is None else Computing(kind))
        await greenlet_spawn(request, processor)
        ended.append(loop.time())

    async def main(loop: VirtualLoop) -> None:
        processor = Processor(COSTS, Cores(loop, cores))
        for kind in dict.fromkeys(kinds):
            await asyncio.create_task(one(loop, processor, kind, []))
        assert loop.time() == 0.0
        processor.counts = False
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(one(loop, processor, kind, ended)) for kind in kinds]
        await asyncio.gather(*tasks)

    run(main)
    return ended


def three_steps(processor: Processor) -> None:
    for _ in range(3):
        processor.step()


def test_a_requests_computing_is_spread_over_its_steps_and_requests_take_turns() -> None:
    assert played(three_steps, kinds=("read",)) == pytest.approx([0.3])
    # One thread, however many cores: both advance together, and neither ends at 0.3 s.
    assert played(three_steps, kinds=("read", "read")) == pytest.approx([0.5, 0.6])


def test_who_takes_more_steps_than_were_counted_spends_no_more() -> None:
    steps = iter([2, 5])

    def some(processor: Processor) -> None:
        for _ in range(next(steps)):
            processor.step()

    assert played(some, kinds=("read",)) == pytest.approx([0.3])


def test_a_new_connection_costs_what_its_kind_was_seen_to_compute_more() -> None:
    assert played(lambda processor: processor.connected(), kinds=("read",)) == pytest.approx([0.5])


@pytest.mark.parametrize("kind", ["unheard of", None])
def test_a_kind_that_was_not_recorded_computes_nothing_but_its_handshake(kind: str | None) -> None:
    assert played(three_steps, kinds=(kind,)) == [0.0]
    assert played(lambda processor: processor.connected(), kinds=(kind,)) == pytest.approx([0.2])


def test_what_it_computes_before_and_after_its_connection_keeps_no_connection() -> None:
    costs = {"read": Costs(before_s=0.25, held_s=0.5, after_s=1.0)}
    times: dict[str, float] = {}

    async def main(loop: VirtualLoop) -> None:
        processor = Processor(costs, Cores(loop, 1))
        processor.counts = False
        COMPUTING.set(Computing("read"))
        await processor.begin("read")
        times["checked out"] = loop.time()
        await greenlet_spawn(processor.step)
        times["given back"] = loop.time()
        await processor.end("read")
        times["answered"] = loop.time()
        await processor.end("unheard of")
        assert loop.time() == times["answered"]

    run(main)
    assert times == pytest.approx({"checked out": 0.25, "given back": 0.75, "answered": 1.75})


def test_the_database_beside_it_slows_it_down() -> None:
    ended: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        cores = Cores(loop, 2)
        processor = Processor(COSTS, cores)
        processor.counts = False
        for _ in range(3):
            cores.compute(10.0, lambda: None)
        COMPUTING.set(Computing("read"))
        await greenlet_spawn(processor.step)
        ended.append(loop.time())

    run(main)
    # Four processes on two cores.
    assert ended == pytest.approx([0.6])
