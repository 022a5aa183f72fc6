"""Ctrl-C, SIGTERM and SIGHUP: all three end a command in the same way, and none is lost or comes at a bad moment."""

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IMPORT_POLL_S = 0.02


@contextmanager
def interruptible() -> Iterator[None]:
    """While inside, each of the three raises `KeyboardInterrupt`, but not in the middle of an import.

    Some libraries lose an exception while they are imported: the command would go on, or fail for another reason.
    What the program was started with ignored (`nohup`, `&` in a script) stays ignored. Main thread only.
    """
    before = {number: signal.getsignal(number) for number in INTERRUPTING}
    heard = [number for number in INTERRUPTING if before[number] is not signal.SIG_IGN]
    try:
        if signal.SIGINT in heard:
            signal.signal(signal.SIGINT, _interrupt)
        for number in heard:
            if number is not signal.SIGINT:
                signal.signal(number, _as_ctrl_c)
        yield
    finally:
        for number in heard:
            if number is not signal.SIGINT:
                signal.signal(number, before[number])
        # What follows is the end of the command: a Ctrl-C now could only spoil its last words.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """While inside, none of the three acts; one that came acts on leaving. For what must be done in one piece."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    came: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in INTERRUPTING}
    heard = [number for number in INTERRUPTING if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
        if came:
            signal.raise_signal(came[0])


@contextmanager
def terminable() -> Iterator[None]:
    """While inside, SIGTERM and SIGHUP are a Ctrl-C, also where the program has not said so for all of itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in INTERRUPTING[1:] if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _as_ctrl_c)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C does; where that is ignored (`&` in a script), what it would do."""
    of_ctrl_c = signal.getsignal(signal.SIGINT)
    if callable(of_ctrl_c):
        of_ctrl_c(number, frame)
    else:
        _interrupt(number, frame)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The handler of Ctrl-C."""
    if not _importing(frame):
        raise KeyboardInterrupt
    # Not threading.Thread: the interrupted code may hold one of that module's locks.
    _thread.start_new_thread(_again_soon, (_thread.get_ident(), number))


def _again_soon(main_thread: int, number: int) -> None:
    time.sleep(IMPORT_POLL_S)
    # To that thread: it may be waiting by then, which the signal must end.
    signal.pthread_kill(main_thread, number)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
