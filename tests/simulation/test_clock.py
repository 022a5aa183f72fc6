"""The libraries' own clocks are virtual while a simulation runs, every one of them, and real again after it."""

import asyncio
import re
import time
from pathlib import Path

import asyncpg
import asyncpg.connection
from asyncpg.protocol import protocol

from harness.simulation.clock import MODULES_WITH_A_CLOCK, library_clocks_follow
from harness.simulation.loop import run

READS_A_CLOCK = re.compile(r"\btime\.(monotonic|time|perf_counter)\(")


def test_every_module_of_asyncpg_that_reads_a_clock_is_known() -> None:
    # asyncpg's Cython sources come with it.
    root = Path(asyncpg.__file__).parent
    found = {
        f"asyncpg.{'.'.join(path.relative_to(root).with_suffix('').parts)}"
        for path in (*root.rglob("*.py"), *root.rglob("*.pyx"))
        if READS_A_CLOCK.search(path.read_text()) and "_testbase" not in path.parts
    }
    assert found
    assert found <= set(MODULES_WITH_A_CLOCK)


def test_what_is_left_of_a_statements_time_is_counted_in_virtual_time() -> None:
    async def spend() -> float:
        timer = protocol.Timer(10.0)
        with timer:
            await asyncio.sleep(4.0)
        left_s: float = timer.get_remaining_budget()
        return left_s

    assert run(lambda _: spend()) == 6.0


def test_after_a_simulation_the_clocks_are_real_again() -> None:
    with library_clocks_follow(lambda: 1.5):
        assert asyncpg.connection.time.monotonic() == 1.5
    assert asyncpg.connection.time is time
    assert vars(protocol)["time"] is time


def test_the_wall_clock_never_reads_the_same_twice() -> None:
    with library_clocks_follow(lambda: 1.5):
        first, second = asyncpg.connection.time.time(), asyncpg.connection.time.time()
    assert 1.5 <= first < second < 1.5 + 1e-9
