"""`coldstart doctor`: what this machine can run, and what is missing."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.model.errors import StackError, UserError

REALTIME = ("fastapi", "uvicorn", "httpx", "locust", "toxiproxy-python")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for."""

    what: str
    ok: bool
    found: str
    needed_for: str


@click.command()
def doctor() -> None:
    """Show what this machine can run, and what is missing."""
    checks = list(_checks())
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "what", "found", "needed for"):
        table.add_column(name)
    for one in checks:
        mark = Text("ok", "green") if one.ok else Text("–", "yellow")
        table.add_row(mark, one.what, one.found, one.needed_for)
    console = Console(highlight=False)
    console.print(table)
    console.print()
    for stack in ("embedded", "compose"):
        can = "yes" if all(one.ok for one in checks if one.needed_for in (stack, "everything")) else "no"
        console.print(f"stack {stack}: {can}")


def _checks() -> Iterator[Check]:
    yield Check("Python", True, platform.python_version(), "everything")
    yield Check("cores", True, str(os.cpu_count()), "how many trials run at a time")
    for package in ("sqlalchemy", "asyncpg", "pandas", "matplotlib"):
        yield _package(package, "everything")
    for package in REALTIME:
        yield _package(package, "embedded")
    yield _postgres()
    real = shutil.which("toxiproxy-server")
    yield Check(
        "toxiproxy-server", real is not None, real or "not on PATH: make toxiproxy builds it", "comparing with it"
    )
    yield from _containers()


def _package(name: str, needed_for: str) -> Check:
    try:
        return Check(name, True, version(name), needed_for)
    except PackageNotFoundError:
        return Check(name, False, "not installed: pip install 'coldstart[embedded]'", needed_for)


def _postgres() -> Check:
    from harness.postgres.binaries import binaries

    try:
        found = binaries()
        return Check("PostgreSQL", True, f"{found.version()}, from {found.found}", "embedded")
    except UserError as error:
        return Check("PostgreSQL", False, str(error), "embedded")


def _containers() -> Iterator[Check]:
    try:
        from harness.compose import engine
    except ModuleNotFoundError as missing:
        yield Check(
            "containers", False, f"{missing.name} is not installed: pip install 'coldstart[compose]'", "compose"
        )
        return
    try:
        yield Check("Docker engine", True, engine.engine().version()["Version"], "compose")
        yield Check("Docker Compose v2", True, engine.compose_binary(), "compose")
        missing_images = set(engine.missing_images())
        for image in engine.images():
            there = image not in missing_images
            pulled = not there and engine.can_pull(image)
            found = "there" if there else "can be pulled" if pulled else "not there, and can't be pulled"
            yield Check(image, there or pulled, found, "compose")
    except StackError as error:
        yield Check("Docker", False, str(error), "compose")
