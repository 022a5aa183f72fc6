"""The first error is the one that is told."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from harness.model.errors import StackError
from harness.processes.beside import beside, first_of
from harness.stacks.tidying import tidied


async def gone() -> None:
    raise StackError("toxiproxy", "DELETE /proxies/trial-0: ConnectionError")


def test_a_part_that_can_not_be_tidied_up_is_an_error_by_itself() -> None:
    async def trial() -> None:
        async with AsyncExitStack() as stack:
            tidied(stack, gone)

    with pytest.raises(StackError, match="ConnectionError"):
        asyncio.run(trial())


def test_what_ended_the_trial_is_told_in_its_place() -> None:
    async def trial() -> None:
        async with AsyncExitStack() as stack:
            tidied(stack, gone)
            raise StackError("postgres", "was killed by SIGKILL")

    with pytest.raises(StackError, match="was killed by SIGKILL"):
        asyncio.run(trial())


def test_so_is_a_part_that_died_beside_it() -> None:
    async def dies() -> None:
        await asyncio.sleep(0.01)
        raise StackError("postgres", "was killed by SIGKILL")

    async def trial() -> None:
        async with beside(dies()), AsyncExitStack() as stack:
            tidied(stack, gone)
            await asyncio.sleep(10)

    with pytest.raises(BaseExceptionGroup) as failed:
        asyncio.run(trial())
    assert str(first_of(failed.value)) == str(StackError("postgres", "was killed by SIGKILL"))
    assert len(failed.value.exceptions) == 1
