"""Which stack `auto` means on this machine, and why."""

import importlib
from typing import TYPE_CHECKING

from harness.model.errors import StackError, UserError

if TYPE_CHECKING:
    from harness.stacks.base import Stack

STACKS: dict[str, str] = {
    "simulated": "harness.stacks.simulated:SimulatedStack",
    "embedded": "harness.stacks.embedded:EmbeddedStack",
    "compose": "harness.stacks.compose:ComposeStack",
}


def plays_in_real_time(stack: "Stack") -> bool:
    """Whether its clock is real: there a story may be shortened."""
    return stack.name != "simulated"


def choose(name: str) -> tuple["Stack", str]:
    """The stack of that name, and in one line why it was chosen. Raises `UserError` when its extra is missing."""
    if name == "auto":
        name, why = _automatic()
        return _made(name), f"stack {name}: {why}"
    return _made(name), f"stack {name}: as asked"


def _automatic() -> tuple[str, str]:
    """Compose where an engine answers and has the images, or can pull them; else embedded."""
    lacking, to_pull = _lacking_for_compose()
    if lacking is None:
        first = f"; {' and '.join(to_pull)} must be pulled first, which takes a while" if to_pull else ""
        return "compose", f"a Docker engine answers{first}"
    return "embedded", f"PostgreSQL from a wheel behind the harness' own Toxiproxy, as {lacking}"


def _lacking_for_compose() -> tuple[str | None, list[str]]:
    """Why the compose stack can't run here, None if it can; and the images it would pull."""
    try:
        from harness.compose import engine
    except ModuleNotFoundError as missing:
        return f"the package {missing.name!r} is not installed", []
    try:
        engine.engine()
        engine.compose_binary()
        missing_images = engine.missing_images()
        not_there = next((image for image in missing_images if not engine.can_pull(image)), None)
    except StackError as error:
        return str(error), []
    return (None if not_there is None else f"the image {not_there} is not there and can't be pulled"), missing_images


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
            allowed=f"pip install 'pg-coldstart[{name}]'",
        ) from missing
    return stack
