"""No text of a user's reaches a shell: the code starts programs from lists of words, and never a line of a shell's."""

import ast
from collections.abc import Iterator
from pathlib import Path

HARNESS = Path(__file__).parents[2] / "harness"
OF_OS = {"system", "popen"}
SHELLS = {"getoutput", "getstatusoutput", "create_subprocess_shell", "subprocess_shell"}
PROGRAMS = {"run", "Popen", "call", "check_call", "check_output"}


def calls(folder: Path) -> Iterator[tuple[Path, ast.Call, str]]:
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                yield path, node, node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id


def through_a_shell(folder: Path) -> list[str]:
    found = []
    for path, call, name in calls(folder):
        shell = [word for word in call.keywords if word.arg == "shell"]
        of_subprocess = (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "subprocess"
            and name in PROGRAMS
        )
        line = bool(call.args) and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
        of_os = name in OF_OS and "os" in (
            getattr(call.func, "id", ""),
            getattr(getattr(call.func, "value", 0), "id", ""),
        )
        if of_os or name in SHELLS or shell or (of_subprocess and line):
            found.append(f"{path.name}, line {call.lineno}: {name}")
    return found


def test_no_program_is_started_by_a_shell() -> None:
    assert through_a_shell(HARNESS) == []


def test_the_check_sees_a_shell(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "import os, subprocess\nos.system(x)\nsubprocess.run(x, shell=True)\nsubprocess.run(f'ls {x}')\n"
        "asyncio.create_subprocess_shell(x)\n"
    )
    assert len(through_a_shell(tmp_path)) == 4
