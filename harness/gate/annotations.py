"""The verdicts as GitHub's workflow commands, which it shows at the check's line of the file.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands; the escapes are those of
https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.gate.checks import Gate
from harness.gate.verdict import Verdict


def annotations(gate: Gate, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """A line for each objective that is not met: an unknown one fails the build too."""
    file = _in_the_repository(Path(gate.file), environment.get("GITHUB_WORKSPACE"))
    for check in gate.checks:
        place = {"file": file, **({} if check.line is None else {"line": str(check.line)})}
        for one in check.judged:
            if one.verdict is not Verdict.MET:
                yield command("error", one.sentence, **place, title=f"{check.name}: {one.objective} is {one.verdict}")


def command(name: str, message: str, **properties: str) -> str:
    """One workflow command: `::error file=coldstart.toml,line=1,title=…::…`."""
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _in_the_repository(file: Path, workspace: str | None) -> str:
    """The path from the repository's root, by which GitHub knows the file."""
    if workspace:
        try:
            return file.resolve().relative_to(Path(workspace).resolve()).as_posix()
        except ValueError:
            pass
    return file.as_posix()
