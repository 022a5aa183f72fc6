"""Reading a scenario file: Python that builds values, run within limits, its mistakes named by file and line."""

import contextlib
import importlib.machinery
import importlib.util
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import CodeType, FrameType, ModuleType

from harness.model.errors import UserError

LIMIT_S = 20.0
"""For importing a scenario, which builds a few values: milliseconds, were it not for machines that are busy."""
INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
NOT_THE_USERS = tuple(
    Path(folder).resolve() for folder in (str(Path(__file__).parent), *(sysconfig.get_path(name) for name in INSTALLED))
)
"""Where a mistake of a user's is never made, only noticed."""


def import_file(path: Path) -> ModuleType:
    """The module of the Python file at `path`. Raises `UserError` in one line, whatever the file does."""
    loader = _AsWritten(f"scenario_{path.stem}", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader) if path.suffix == ".py" else None
    if spec is None:
        raise UserError("is not a Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    interrupted = threading.Event()
    try:
        # What a file prints is none of a command's results.
        with contextlib.redirect_stdout(sys.stderr), _limited(interrupted):
            loader.exec_module(module)
    except UserError as error:
        raise UserError(str(error), where=_place(error, path)) from error
    except _TakesTooLong as error:
        what = f"importing it took longer than {LIMIT_S:g} s: a scenario builds values and does nothing else"
        raise UserError(what, where=_place(error, path)) from error
    except SyntaxError as error:
        raise UserError(f"{type(error).__name__}: {error.msg}", where=_place_of_syntax(error, path)) from error
    except BaseException as error:
        # Also SystemExit, and a KeyboardInterrupt that the file itself raised: it must not look like a run that ended.
        if isinstance(error, KeyboardInterrupt) and interrupted.is_set():
            raise
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UserError(what, where=_place(error, path)) from error
    return module


class _AsWritten(importlib.machinery.SourceFileLoader):
    """A file as it is now, and nothing written beside it.

    Compiled code that Python keeps is found again by the file's size and the second of its change: a scenario that a
    script changes from `pool_size=5` to `pool_size=6` twice in a second would be played as it was before.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _TakesTooLong(BaseException):
    """Raised wherever the file is at that moment; no `except Exception` of its own holds it up."""


@contextlib.contextmanager
def _limited(interrupted: threading.Event) -> Iterator[None]:
    """End what takes longer than `LIMIT_S`, and tell a real Ctrl-C from an exception that looks like one."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise _TakesTooLong

    ctrl_c = signal.getsignal(signal.SIGINT)
    if callable(ctrl_c):
        signal.signal(signal.SIGINT, interrupt)
    alarm = signal.signal(signal.SIGALRM, too_long)
    began_s = monotonic()
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, ctrl_c)
        if left_s:
            # Somebody else's alarm, a test's limit for example, goes on.
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left_s - (monotonic() - began_s)), every_s)


def _place(error: BaseException, path: Path) -> str:
    """File and line of the mistake: the innermost of the user's own, which a file that it imports may hold."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_the_users(frame.filename, path)]
    if not frames:
        return _short(path)
    return _named(Path(frames[-1].filename), frames[-1].lineno, path)


def _place_of_syntax(error: SyntaxError, path: Path) -> str:
    return _named(Path(error.filename or path), error.lineno, path)


def _named(file: Path, line: int | None, path: Path) -> str:
    where = _short(file) if line is None else f"{_short(file)}, line {line}"
    return where if file.resolve() == path.resolve() else f"{where}, imported by {_short(path)}"


def _is_the_users(filename: str, path: Path) -> bool:
    if filename.startswith("<"):
        return False
    file = Path(filename).resolve()
    return file == path.resolve() or not any(file.is_relative_to(folder) for folder in NOT_THE_USERS)


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
