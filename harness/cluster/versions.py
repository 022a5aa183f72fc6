"""What rows depend on beside the trial: a worker that has another version of it would play other rows."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

from harness import __version__
from harness.model.errors import UserError
from harness.simulation.versions import library_versions


def versions_here() -> dict[str, str]:
    """The versions in this process, by package. Raises `ModuleNotFoundError` where one is not installed."""
    python = ".".join(platform.python_version_tuple()[:2])
    pool = {"psycopg-pool": version("psycopg-pool")}
    return {"coldstart": __version__, "python": python, **library_versions(), **pool}


def check_versions(worker: str, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raises `UserError` with the first package of which the worker at this address has another version."""
    for package, version_here in expected.items():
        if found[package] != version_here:
            raise UserError(
                f"has {package} {found[package]}, and this machine {version_here}: its rows would differ",
                where=f"worker {worker}",
                allowed=f"{package} {version_here}",
            )
