"""Locust's own users, for a bounded number of tasks, with a listener on what they ask.

Users take turns. What they wait between two tasks passes on a clock of their own and is not waited for: the order of
their tasks, and with it how often each kind of request is asked, is that of a long test, in the time that the answers
take. (TaskSet's `_sleep`, `execute_next_task` and `_task_queue` have been Locust's since 1.0.)
"""

import heapq
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import gevent
import locust
from gevent.event import Event
from gevent.fileobject import FileObject
from locust.argument_parser import get_parser
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import TaskSet
from locust.util.load_locustfile import load_locustfile

from harness.guest.protocol import Pipes

POLL_S = 0.001
STOPPING_S = 5.0
"""How long a task that is under way may go on when enough has been heard."""
LARGEST_TEXT = 256 * 2**10
"""Bytes of a body that are told; longer ones are no work of a hand."""
TEXTS = ("text/", "application/json", "application/xml", "+json", "+xml")
"""In the content type of an answer that may hold what is asked next."""


def end_with_the_parent(pipes: Pipes) -> None:
    """From now on this process ends when its parent closes the pipe, or is gone."""

    def read() -> None:
        for _ in FileObject(pipes.fileno(), "rb", close=False):
            pass
        os._exit(0)

    gevent.spawn(read)


def user_classes(locustfile: str) -> list[type[locust.User]]:
    """The classes with tasks that Locust would start; whatever importing the file raises is not caught."""
    # Older versions of Locust give the docstring before the two.
    found: dict[str, type[locust.User]] = load_locustfile(locustfile)[-2]
    return [one for one in found.values() if one.tasks]


def listen(
    classes: list[type[locust.User]],
    *,
    pipes: Pipes,
    locustfile: str,
    url: str,
    users: int,
    tasks: int,
    within_s: float,
) -> None:
    """Run users of these classes until `tasks` have been begun, or the seconds are over; the process ends."""
    arguments = ["--headless", "--host", url, "--users", str(users), "-f", locustfile]
    environment = Environment(
        user_classes=classes, events=locust.events, host=url, parsed_options=get_parser().parse_args(arguments),
        stop_timeout=STOPPING_S,
    )  # fmt: skip
    runner = environment.create_local_runner()
    locust.events.init.fire(environment=environment, runner=runner, web_ui=None)
    heard, turns = Listener(pipes), Turns(runner)
    locust.events.request.add_listener(heard.request)
    locust.events.user_error.add_listener(heard.error)
    counted = CountedTasks(tasks)

    def wait_in_turn(taskset: Any, seconds: float) -> None:  # noqa: ANN401 - Locust's own
        turns.wait(taskset, seconds)

    # Types are those of a subclass, which would reach only the users that are of it.
    patched: Any = TaskSet
    patched._sleep = wait_in_turn  # noqa: SLF001 - see above
    patched.execute_next_task = counted.around(TaskSet.execute_next_task)
    runner.start(users, spawn_rate=users)
    assert runner.spawning_greenlet is not None
    runner.spawning_greenlet.join()
    if (failed := runner.spawning_greenlet.exception) is not None:
        heard.error(failed)
    in_turn = gevent.spawn(turns.run)
    with gevent.Timeout(within_s, exception=False):
        while not counted.enough.wait(timeout=0.1) and len(runner.user_greenlets):
            pass
    timed_out = not counted.enough.is_set() and len(runner.user_greenlets) > 0
    in_turn.kill()
    with gevent.Timeout(2 * STOPPING_S, exception=False):
        runner.quit()
    pipes.emit(
        "users_heard",
        users=sum(runner.target_user_classes_count.values()),
        tasks=counted.begun,
        timed_out=timed_out,
        elsewhere=heard.elsewhere,
        errors=dict(heard.errors),
    )
    os._exit(0)


class CountedTasks:
    """Counts the tasks that were begun, and lets no user begin one when there were enough."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.begun = 0
        self.enough = Event()

    def around(self, execute: Any) -> Any:  # noqa: ANN401 - Locust's own
        def counting(taskset: Any) -> None:  # noqa: ANN401 - Locust's own
            task = taskset._task_queue[0]  # noqa: SLF001 - see above
            if isinstance(task, type) and issubclass(task, TaskSet):
                # Its own tasks are counted.
                execute(taskset)
                return
            if self.begun >= self._most:
                self.enough.set()
                raise StopUser
            self.begun += 1
            here = gevent.getcurrent()
            here.coldstart_in_task = True
            try:
                execute(taskset)
            finally:
                here.coldstart_in_task = False

        return counting


class Turns:
    """One user after another, each when its wait is over on a clock that jumps."""

    def __init__(self, runner: Any) -> None:  # noqa: ANN401 - Locust's own
        self._runner = runner
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, Event]] = []
        self._resumed: dict[Any, tuple[float, float]] = {}
        """When each greenlet went on last: on the clock that jumps, and on the real one."""
        self._began_s = time.monotonic()

    def wait(self, taskset: Any, seconds: float) -> None:  # noqa: ANN401 - Locust's own
        """In the place of a wait between two tasks."""
        here, turn = gevent.getcurrent(), Event()
        at_s, since_s = self._resumed.get(here, (0.0, self._began_s))
        due_s = at_s + time.monotonic() - since_s + seconds
        heapq.heappush(self._waiting, (due_s, next(self._numbers), turn))
        turn.wait()
        self._resumed[here] = due_s, time.monotonic()
        # constant_pacing and constant_throughput look at the real clock, on which this wait has taken no time.
        for one in (taskset, taskset.user):
            if hasattr(one, "_cp_last_run"):
                one._cp_last_run -= seconds  # noqa: SLF001 - Locust has no other place for it

    def run(self) -> None:
        """Whenever every user waits, the one whose wait ends first goes on."""
        while True:
            gevent.sleep(POLL_S)
            # A user that has ended is none of the runner's any more.
            if self._waiting and len(self._waiting) >= len(self._runner.user_greenlets):
                heapq.heappop(self._waiting)[-1].set()


class Listener:
    """Tells the parent of every request."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._users: dict[Any, int] = {}
        self.elsewhere = 0
        """Requests that were none of HTTP."""
        self.errors: Counter[str] = Counter()

    def error(self, exception: BaseException, **_: Any) -> None:  # noqa: ANN401 - Locust's own
        self.errors[f"{type(exception).__name__}: {exception}"[:200]] += 1

    def request(
        self,
        *,
        request_type: str,
        name: str,
        response: Any = None,  # noqa: ANN401 - Locust's own
        exception: Any = None,  # noqa: ANN401 - Locust's own
        url: str | None = None,
        **_: Any,  # noqa: ANN401 - Locust's own
    ) -> None:
        """One request that has ended; what it asked for before it was redirected."""
        history = getattr(response, "history", None) or []
        first = history[0] if history else response
        asked = getattr(first, "request", None)
        if response is None or (asked is None and url is None):
            self.elsewhere += 1
            return
        # FastHttpUser's request has its query elsewhere, and is changed when it is redirected.
        whole = str(url if history or asked is None else getattr(asked, "url_split", asked.url))
        body, size = _text(getattr(asked, "body", None))
        here = gevent.getcurrent()
        self._pipes.emit(
            "request_heard",
            user=self._users.setdefault(here, len(self._users)),
            name=None if _is_locusts(name, whole, str(url)) else name,
            method=str(request_type).upper(),
            url=whole,
            headers={str(key): _word(value) for key, value in _pairs(getattr(asked, "headers", None))},
            body=body,
            body_bytes=size,
            status=int(first.status_code or 0),
            good=exception is None and bool(first.status_code),
            redirected=bool(history),
            in_task=getattr(here, "coldstart_in_task", False),
            answer=_answer(response),
            error="" if exception is None else f"{type(exception).__name__}: {exception}"[:200],
        )


def _is_locusts(name: str, *urls: str) -> bool:
    """Whether the name is none of the locustfile's own: Locust's is the URL, or what of it comes after the host."""
    return (name.startswith("/") or "://" in name) and any(url.endswith(name) for url in urls)


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:  # noqa: ANN401 - Locust's own
    return headers.items() if hasattr(headers, "items") else ()


def _word(value: Any) -> str:  # noqa: ANN401 - Locust's own
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _text(body: Any) -> tuple[str | None, int]:  # noqa: ANN401 - Locust's own
    """A body as text, None where it is none, and its size."""
    if body is None or body in ("", b""):
        return None, 0
    if isinstance(body, str):
        body = body.encode("utf-8", "replace")
    if not isinstance(body, bytes):
        # A file or a generator: it has been read.
        return None, 1
    try:
        return (body.decode() if len(body) <= LARGEST_TEXT else None), len(body)
    except UnicodeDecodeError:
        return None, len(body)


def _answer(response: Any) -> str:  # noqa: ANN401 - Locust's own
    """What the user has learned by an answer: its headers, and its body where that is text and has been read."""
    headers = [(str(key).lower(), _word(value)) for key, value in _pairs(getattr(response, "headers", None))]
    learned = [word for _, word in headers]
    is_text = any(text in word for key, word in headers if key == "content-type" for text in TEXTS)
    # What is streamed is the user's own to read.
    read = getattr(response, "_content", None) or getattr(response, "_cached_content", None)
    if is_text and isinstance(read, bytes):
        learned.append(read[:LARGEST_TEXT].decode(errors="replace"))
    return "\n".join(learned)
