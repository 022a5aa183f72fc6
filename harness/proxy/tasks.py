"""Tasks whose failure is seen: an exception that nobody awaits would leave a connection hanging silently."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

LOG = logging.getLogger("harness.proxy")


def started(work: Coroutine[Any, Any, None], *, name: str, on_failure: Callable[[], None]) -> asyncio.Task[None]:
    """A task that runs `work`; when that raises, the exception is logged and `on_failure` called."""
    task = asyncio.get_running_loop().create_task(work, name=name)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("%s failed", name, exc_info=error)
            on_failure()

    task.add_done_callback(ended)
    return task
