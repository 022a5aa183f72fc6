"""What a command does not need it does not import: `coldstart --help` answers at once, and a run needs no pandas."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import COMMANDS, coldstart

SLOW = {"numpy", "pandas", "pyarrow", "scipy", "matplotlib", "sqlalchemy", "rich", "asyncio", "httpx"}


def imported_by(*arguments: str) -> set[str]:
    words = f"""
import sys
from pathlib import Path
from harness.cli import main
try:
    main({list(arguments)!r})
except SystemExit as ended:
    assert not ended.code, ended.code
print(*sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_that_is_slow(option: str) -> None:
    assert not imported_by(option) & SLOW


def test_a_simulated_run_imports_neither_pandas_nor_what_its_processes_run(
    tmp_path: Path,
) -> None:
    run = ("run", "cold_burst", "--stack", "simulated", "--no-charts", "--pool", "2+0", "--out", f"{tmp_path}")
    imported = imported_by(*run, "--json")
    assert imported & SLOW >= {"numpy", "pyarrow"}
    assert not imported & {"pandas", "scipy", "matplotlib", "sqlalchemy", "locust", "uvicorn", "distributed"}
    # With its table too.
    assert "scipy" not in imported_by(*run)


def test_a_sweep_on_this_machine_imports_no_dask(tmp_path: Path) -> None:
    grid = ("sweep", "cold_burst", "--pool-size", "2", "--max-overflow", "0", "--no-charts", "--out", f"{tmp_path}")
    assert not imported_by(*grid) & {"dask", "distributed", "tornado"}


def test_the_list_of_commands_has_each_ones_own_words() -> None:
    context = click.Context(coldstart)
    for name, words in COMMANDS.items():
        command = coldstart.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(limit=200) == words
