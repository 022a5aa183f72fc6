"""Which stack `auto` means on this machine, and why."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.model.errors import StackError, UserError

if TYPE_CHECKING:
    from harness.stacks.base import Stack

TARGET = "target"
STACKS: dict[str, str] = {
    "simulated": "harness.stacks.simulated:SimulatedStack",
    "embedded": "harness.stacks.embedded:EmbeddedStack",
    "compose": "harness.stacks.compose:ComposeStack",
    TARGET: "harness.stacks.target_stack:TargetStack",
}
EXTRAS = {TARGET: "realtime"}
"""What is to be installed for a stack; else the extra of its own name."""


def plays_in_real_time(stack: "Stack") -> bool:
    """Whether the stack's clock is the real one; only there may a story be shortened."""
    return stack.name != "simulated"


def choose(name: str) -> tuple["Stack", str]:
    """The stack of that name, and in one line why it was chosen. Raises `UserError` when its extra is missing."""
    if name == "auto":
        name, why = _automatic()
        return _created(name), f"stack {name}: {why}"
    return _created(name), f"stack {name}: as asked"


def _automatic() -> tuple[str, str]:
    """Compose where an engine answers and has the images, or can pull them; else embedded."""
    obstacle, to_pull = _obstacle_to_compose()
    if obstacle is None:
        pull_note = f"; {' and '.join(to_pull)} must be pulled first, which takes a while" if to_pull else ""
        return "compose", f"a Docker engine answers{pull_note}"
    return "embedded", f"PostgreSQL from a wheel behind the harness' own Toxiproxy, as {obstacle}"


def _obstacle_to_compose() -> tuple[str | None, list[str]]:
    """Why the compose stack can't run here (None: it can), and the images that it would have to pull."""
    try:
        from harness.compose import engine
    except ModuleNotFoundError as missing:
        return f"the package {missing.name!r} is not installed", []
    try:
        engine.engine()
        engine.compose_binary()
        missing_images = engine.missing_images()
        unavailable = next((image for image in missing_images if not engine.can_pull(image)), None)
    except StackError as error:
        return str(error), []
    obstacle = None if unavailable is None else f"the image {unavailable} is not there and can't be pulled"
    return obstacle, missing_images


def on_scheduler(address: str) -> tuple["Stack", str]:
    """The simulated stack on the workers of the Dask scheduler at that address, and why, as `choose` has it."""
    with _from_extra("dask", where="--scheduler"):
        from harness.stacks.scheduled import ScheduledStack

        return ScheduledStack(address), "stack simulated: as asked"


def _created(name: str) -> "Stack":
    module, _, class_name = STACKS[name].partition(":")
    with _from_extra(EXTRAS.get(name, name), where=f"stack {name}"):
        stack: Stack = getattr(importlib.import_module(module), class_name)()
    return stack


@contextmanager
def _from_extra(extra: str, *, where: str) -> Iterator[None]:
    """A package that is missing inside is a `UserError` with the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("harness"):
            raise
        raise UserError(
            f"needs the package {missing.name!r}, which is not installed",
            where=where,
            allowed=f"pip install 'pg-coldstart[{extra}]'",
        ) from missing
