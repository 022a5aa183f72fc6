"""A user's own locustfile: its users ask a running application, in a process of theirs, and are listened to."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

from harness.application.starting import check_it_listens, interpreter
from harness.guest import enter
from harness.model.application import check_target
from harness.model.errors import StackError, UserError
from harness.model.paths import is_file, is_folder
from harness.processes.heard import LocustfileRefused, RequestHeard, UsersHeard
from harness.processes.process import Child

GRACE_S = 60.0
"""Beyond the time that was given: for importing the locustfile, and for its users to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How a locustfile is listened to."""

    locustfile: Path
    target: str
    """Where the application runs."""
    python: str | None
    """The interpreter or environment that the locustfile needs; None: coldstart's own."""
    users: int
    tasks: int
    within_s: float


@dataclass(slots=True)
class Listened:
    """What was heard, and how it ended."""

    requests: list[RequestHeard] = field(default_factory=list)
    ended: UsersHeard | None = None


def check_listening(listening: Listening) -> None:
    """Raises `UserError` for what can be seen to be wrong before anything starts."""
    check_target(listening.target)
    interpreter(listening.python)
    if not is_file(listening.locustfile):
        what = "is a folder" if is_folder(listening.locustfile) else "no such file"
        raise UserError(what, where=str(listening.locustfile), allowed="a locustfile")
    check_it_listens(listening.target)


async def listen(listening: Listening, *, log: Path) -> Listened:
    """Let the users ask, and hear what it is.

    Raises `UserError` for a locustfile that can't be used, and `StackError` where its process ends before its users.
    """
    orders = {
        "locustfile": str(listening.locustfile.resolve()), "url": listening.target.rstrip("/"),
        "users": listening.users, "tasks": listening.tasks, "within_s": listening.within_s,
    }  # fmt: skip
    argv = [interpreter(listening.python), str(Path(enter.__file__)), "listen", json.dumps(orders)]
    heard = Listened()
    limit_s = listening.within_s + GRACE_S
    async with Child.running("locustfile", argv, log=log) as child:
        try:
            async with asyncio.timeout(limit_s):
                await _read(child, heard, listening)
        except TimeoutError:
            raise StackError("locustfile", f"had not ended after {limit_s:g} s", log=log) from None
        if heard.ended is None:
            raise await child.died()
    return heard


async def _read(child: Child, heard: Listened, listening: Listening) -> None:
    async for record in child.records():
        match record:
            case RequestHeard():
                heard.requests.append(record)
            case UsersHeard():
                heard.ended = record
                return
            case LocustfileRefused(what=what, allowed=allowed):
                raise UserError(what, where=str(listening.locustfile), allowed=allowed)
            case _:
                raise child.out_of_step(record)
