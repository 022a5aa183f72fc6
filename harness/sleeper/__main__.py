"""`python -m harness.sleeper`: suspends and wakes the database of `docker compose up` until it is told to stop.

COLDSTART_WAKE is a wake profile (`neon`), seconds (`8`) or both (`neon:8`); COLDSTART_SUSPEND_AFTER the quiet seconds
before it suspends. Exit status: 1 when Toxiproxy or PostgreSQL is gone, 2 for a wake that can't be played.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from harness.asyncpg_errors import LOST
from harness.model.compute import OnSuspend
from harness.model.errors import StackError, UserError
from harness.model.wake import WakeProfile, profile, read_wake
from harness.proxy.toxiproxy import ToxiproxyServer
from harness.proxy.toxiproxy_compute import ToxiproxyCompute
from harness.sleeper.serve import DATABASE, Neighbours, serve

CAN_SUSPEND = frozenset({OnSuspend.CLOSE, OnSuspend.TERMINATE})


def wake_of(environment: Mapping[str, str]) -> WakeProfile:
    """The wake that the COLDSTART_ variables name. Raises `UserError` for one that can't be played here."""
    after_s = environment.get("COLDSTART_SUSPEND_AFTER", "")
    wake = read_wake(environment.get("COLDSTART_WAKE", "neon"), where="COLDSTART_WAKE").applied_to(profile("neon"))
    try:
        wake = replace(wake, suspend_after_s=float(after_s)) if after_s else wake
        wake.behaviour(suspends_by_itself=True)
    except (UserError, ValueError):
        raise UserError(
            f"{after_s!r} is not a time", where="COLDSTART_SUSPEND_AFTER", allowed="seconds, more than 0"
        ) from None
    ToxiproxyCompute.check(wake, can=CAN_SUSPEND)
    return wake


async def _serve_until_signalled(wake: WakeProfile, neighbours: Neighbours) -> None:
    serving = asyncio.create_task(serve(wake, neighbours))
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


def main() -> int:
    """Serve until SIGTERM."""
    neighbours = Neighbours(
        toxiproxy=ToxiproxyServer(host="toxiproxy"),
        postgres="postgres:5432",
        dsn=f"postgresql://postgres:{os.environ['COLDSTART_POSTGRES_PASSWORD']}@postgres:5432/{DATABASE}",
        own_host=socket.gethostbyname(socket.gethostname()),
    )
    try:
        asyncio.run(_serve_until_signalled(wake_of(os.environ), neighbours))
    except (UserError, StackError, *LOST) as error:
        print(error, file=sys.stderr)  # noqa: T201 - this container's log
        return 2 if isinstance(error, UserError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
