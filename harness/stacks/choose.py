"""Which stack `auto` means on this machine, and why."""

import importlib
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.stacks.base import Stack

STACKS: dict[str, str] = {
    "simulated": "harness.stacks.simulated:SimulatedStack",
    "embedded": "harness.stacks.embedded:EmbeddedStack",
}


def choose(name: str) -> tuple["Stack", str]:
    """The stack of that name, and in one line why it was chosen. Raises `UserError` when its extra is missing."""
    if name == "auto":
        return _made("embedded"), "stack embedded: PostgreSQL from a wheel behind the harness' own Toxiproxy"
    return _made(name), f"stack {name}: as asked"


def _made(name: str) -> "Stack":
    module, _, class_name = STACKS[name].partition(":")
    try:
        stack: Stack = getattr(importlib.import_module(module), class_name)()
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("harness"):
            raise
        raise UserError(
            f"needs the package {missing.name!r}, which is not installed",
            where=f"stack {name}",
            allowed=f"pip install 'coldstart[{name}]'",
        ) from missing
    return stack
