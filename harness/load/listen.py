"""`enter.py listen ORDERS`: somebody's Locust users asked for some tasks, and every request of theirs a record.

It runs in the Python that the locustfile needs. Importing Locust patches the process, so that comes before whatever
opens a file or a socket.
"""

import json
import sys
from typing import Any

from harness.guest.application import in_a_line


def main() -> None:
    """Read the orders (JSON: locustfile, url, users, tasks, within_s), listen, and end this process."""
    orders: dict[str, Any] = json.loads(sys.argv[2])
    # What a locustfile reads of a command line is Locust's.
    sys.argv[1:] = []
    why: tuple[str, str | None] | None = None
    try:
        from harness.load import listening
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("locust", "gevent"):
            raise
        why = "needs Locust, which this Python does not have", "--python, an environment with locust in it"
    from harness.guest.protocol import Pipes

    pipes = Pipes()
    if why is None:
        listening.end_with_the_parent(pipes)
        try:
            classes = listening.user_classes(orders["locustfile"])
        # A locustfile may end its process, as some do where a variable is missing.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises, in words
            missing = isinstance(error, ModuleNotFoundError)
            allowed = "--python, an environment that has it" if missing else None
            why = f"importing it failed: {in_a_line(error)}", allowed
        else:
            if classes:
                listening.listen(classes, pipes=pipes, **orders)
            why = "has no user class with tasks", "a class of HttpUser or FastHttpUser with @task"
    pipes.emit("locustfile_refused", what=why[0], allowed=why[1])
