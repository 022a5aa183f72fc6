"""What is asked of a running `coldstart up` from another process."""

import asyncio

from harness.model.compute import State
from harness.proxy.client import ComputeState, ProxyClient
from harness.up.database import PROXY
from harness.up.running import the_running_one

POLL_S = 0.02


async def ask_to_suspend(port: int | None) -> tuple[ComputeState, ComputeState]:
    """Suspend the one at this port (None: the only one); its state before and after.

    Raises `UserError` when there is none, `StackError` when it does not answer.
    """
    async with ProxyClient(the_running_one(port).api_port) as client:
        return await client.state(PROXY), await client.suspend(PROXY)


async def wake_and_wait(port: int | None) -> float | None:
    """Wake it as a first client would; the seconds until it was awake. None: it was awake already.

    Raises as `ask_to_suspend`.
    """
    loop = asyncio.get_running_loop()
    async with ProxyClient(the_running_one(port).api_port) as client:
        asked_at_s = loop.time()
        state = await client.wake(PROXY)
        if state.state is State.ACTIVE:
            return None
        while state.state is State.WAKING:
            # Most of a long wake is slept through; a suspend right after it ends the waiting too.
            await asyncio.sleep(max(POLL_S, state.changes_in_s or 0.0))
            state = await client.state(PROXY)
        return loop.time() - asked_at_s
