"""A scenario file that is wrong is refused in one line with its place, whatever it does when it is imported."""

import signal
import sys
import threading
from pathlib import Path

import pytest

from harness import scenario_file
from harness.library import load_scenario
from harness.model.errors import UserError


def refusal(path: Path, content: str) -> str:
    path.write_text(content)
    with pytest.raises(UserError) as refused:
        load_scenario(str(path))
    return str(refused.value)


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("import sys\n\nsys.exit(0)\n", 3, "SystemExit: 0"),
        ("raise SystemExit\n", 1, "SystemExit"),
        ("\nraise KeyboardInterrupt\n", 2, "KeyboardInterrupt"),
        ("import asyncio\nraise asyncio.CancelledError\n", 2, "CancelledError"),
        ("class Odd(BaseException): pass\nraise Odd('!')\n", 2, "Odd: !"),
        ("x = 1\ny = (\n", 2, "SyntaxError: '(' was never closed"),
        ("x = 1\n\ny = = 2\n", 3, "SyntaxError: invalid syntax"),
        ("if x:\npass\n", 2, "IndentationError: expected an indented block"),
        ("def f():\n    return f()\n\nf()\n", 2, "RecursionError: maximum recursion depth"),
        ("from harness.scenario import Burst\n\nBurst(requests=0, over_s=1)\n", 3, "requests must be at least 1"),
        ("from harness.wake import profile\nprofile('mars')\n", 2, "no wake profile 'mars'"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_its_mistake_is_named_by_file_and_line(tmp_path: Path, content: str, line: int, says: str) -> None:
    told = refusal(tmp_path / "mine.py", content)
    assert told.startswith(f"{tmp_path.name}/mine.py, line {line}: ")
    assert says in told


def test_a_file_with_a_null_byte_or_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes("x = 'größe'\n".encode("latin-1"))
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    for name in ("latin.py", "null.py"):
        with pytest.raises(UserError, match=f"{name}.*SyntaxError"):
            load_scenario(str(tmp_path / name))


@pytest.mark.parametrize("mistake", ["y = = 2", "1 / 0"])
def test_a_mistake_in_a_module_that_it_imports_is_named_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    (tmp_path / "helper_of_mine.py").write_text(f"\n\n{mistake}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "helper_of_mine", raising=False)
    told = refusal(tmp_path / "mine.py", "import helper_of_mine\n")
    folder = tmp_path.name
    assert told.startswith(f"{folder}/helper_of_mine.py, line 3, imported by {folder}/mine.py: ")


def test_an_import_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario_file, "LIMIT_S", 0.2)
    endless = "while True:\n    try:\n        x = 1\n    except Exception:\n        pass\n"
    assert "importing it took longer than 0.2 s" in refusal(tmp_path / "mine.py", endless)


def test_somebody_elses_alarm_and_handlers_are_left_as_they_were(tmp_path: Path) -> None:
    rang: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _: rang.append(number))
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        ctrl_c = signal.getsignal(signal.SIGINT)
        refusal(tmp_path / "mine.py", "1 / 0\n")
        assert signal.getsignal(signal.SIGINT) is ctrl_c
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.3
        signal.sigtimedwait([], 1.0)
        assert rang == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left_s)


def test_a_real_ctrl_c_while_it_is_imported_is_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import time\ntime.sleep(20)\n")
    # Python's own handler, whatever a library has left here, and the main thread, whatever threads a test has left.
    left = signal.signal(signal.SIGINT, signal.default_int_handler)
    ident = threading.main_thread().ident
    assert ident is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (ident, signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            load_scenario(str(path))
        timer.join()
    finally:
        signal.signal(signal.SIGINT, left)


def test_what_a_file_prints_is_none_of_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal(tmp_path / "mine.py", "print('hello')\n")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder \(allowed: a scenario's name, or the path of a Python file\)"):
        load_scenario(str(tmp_path))
