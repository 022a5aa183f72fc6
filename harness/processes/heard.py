"""What a process with somebody's Locust users tells its parent (harness/load/listening.py)."""

from harness.processes.message import Record


class LocustfileRefused(Record, frozen=True, kw_only=True):
    """A locustfile can't be listened to, for a reason that its user can mend."""

    what: str
    allowed: str | None


class RequestHeard(Record, frozen=True, kw_only=True):
    """A user of somebody's locustfile asked for this."""

    user: int
    """Which one, from 0."""
    name: str | None
    """As the locustfile calls it; None: it leaves that to Locust."""
    method: str
    url: str
    """As it was before a redirect."""
    headers: dict[str, str]
    body: str | None
    """None: it has none, or one that is no text."""
    body_bytes: int
    status: int
    """0: it was not answered."""
    good: bool
    """Whether the locustfile took it for a success."""
    redirected: bool
    in_task: bool
    """Not as the user started or stopped."""
    answer: str
    """What could be learned by the answer: its headers' values and its text."""
    error: str
    """Empty: none."""


class UsersHeard(Record, frozen=True, kw_only=True):
    """The users of a locustfile have ended."""

    users: int
    tasks: int
    timed_out: bool
    """There was no time for all of the tasks."""
    elsewhere: int
    """Requests that were none of HTTP."""
    errors: dict[str, int]
    """Exceptions that ended a task, and how often."""
