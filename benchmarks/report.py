"""Tables in the documents: each between its markers, with the command that made it and what it ran on."""

import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.postgres.binaries import binaries

DOCS = Path(__file__).parent.parent / "docs"
BENCHMARKS_PAGE = DOCS / "benchmarks.md"
SIMULATION_PAGE = DOCS / "simulation.md"
FINDINGS_PAGE = DOCS / "findings.md"
STACKS_PAGE = DOCS / "stacks.md"
POOLS_PAGE = DOCS / "pools.md"
APPLICATIONS_PAGE = DOCS / "applications.md"
RELIABILITY_PAGE = DOCS / "reliability.md"


def write_table(
    name: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, page: Path = BENCHMARKS_PAGE
) -> None:
    """Replace the table called `name`, and print it."""
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    table = "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
    made = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = f"{table}\n\nMade by `{_command()}` on {made}, PostgreSQL {binaries().version()}."
    content = page.read_text()
    pattern = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    assert pattern.search(content), f"{page.name} has no table {name}"
    page.write_text(pattern.sub(lambda _: f"<!-- {name} -->\n{text}\n<!-- /{name} -->", content))
    print(text)


def _command() -> str:
    module = Path(sys.argv[0]).stem
    return " ".join(["python -m", f"benchmarks.{module}", *sys.argv[1:]])
