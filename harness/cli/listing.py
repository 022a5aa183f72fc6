"""`coldstart list`: scenarios, pool configurations, settings and wake profiles."""

from collections.abc import Iterator
from dataclasses import fields

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.library import load_scenario, scenario_names
from harness.model.errors import UserError
from harness.model.listener import QueueListener
from harness.model.pool import ENVIRONMENT_PREFIX, MEANINGS, PoolConfiguration
from harness.model.wake import PROFILES

GUESSED = "~"
LISTENER_MEANINGS = {
    "channel": "what it listens to",
    "heartbeat_every": "seconds between heartbeats; each one keeps a compute awake",
    "heartbeat_limit": "seconds a heartbeat may take before its connection is dropped",
    "connect_timeout": "seconds for one attempt to connect (0: none)",
    "backoff_first": "seconds between the first failed attempt and the second; doubled after each",
    "backoff_max": "the longest of these waits",
}
NAME_WIDTH = 22
TOPICS = ("scenarios", "settings", "listener", "profiles")


@click.command("list")
@click.argument("topic", type=click.Choice(TOPICS), required=False)
def list_(topic: str | None) -> None:
    """Show scenarios, settings and wake profiles."""
    console = Console(highlight=False)
    topics = {"scenarios": _scenarios, "settings": _settings, "listener": _listener, "profiles": _profiles}
    console.print(Group(*(part for name in ([topic] if topic else TOPICS) for part in (*topics[name](), ""))))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap="name" in column)
    return table


def _scenarios() -> Iterator[RenderableType]:
    yield Text("Scenarios", "bold")
    for name in scenario_names():
        about = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        about.add_column(width=NAME_WIDTH, no_wrap=True)
        about.add_column()
        try:
            scenario = load_scenario(name)
        except UserError as error:
            about.add_row(f"  {name}", Text(str(error), "red"))
        else:
            about.add_row(f"  {name}", scenario.description.partition("\n")[0])
            about.add_row("", "pools: " + ", ".join(pool.label for pool in scenario.pool_configurations))
            if scenario.variants:
                about.add_row("", "variants: " + ", ".join(variant.name for variant in scenario.variants))
            about.add_row("", "wakes: " + ", ".join(f"{wake.name} {wake.latency}" for wake in scenario.wakes))
        yield about


def _settings() -> Iterator[RenderableType]:
    yield Text("Settings", "bold")
    yield f"  --set NAME=VALUE; in the environment {ENVIRONMENT_PREFIX} and the name in capitals"
    table = _table("  name", "default", "meaning")
    for name, value in PoolConfiguration().to_json().items():
        default = f"{value:g}" if isinstance(value, float) else str(value).lower()
        table.add_row(f"  {name}", default, MEANINGS[name])
    yield table


def _listener() -> Iterator[RenderableType]:
    yield Text("Queue listener", "bold")
    yield "  QueueListener(…) in a scenario; in the service's environment LISTENER_ and the name in capitals"
    table = _table("  name", "default", "meaning")
    for field in fields(QueueListener):
        name = field.name.removesuffix("_s")
        default = field.default if isinstance(field.default, str) else f"{field.default:g}"
        table.add_row(f"  {name}", default, LISTENER_MEANINGS[name])
    yield table


def _profiles() -> Iterator[RenderableType]:
    yield Text("Wake profiles", "bold")
    yield f"  --wake NAME, or NAME:SECONDS; {GUESSED} marks a guess: no source was found, measure it"
    table = _table("  name", "suspends after", "wake latency", "on suspend", "while waking")
    for known in PROFILES.values():
        suspends = "never" if known.suspend_after_s is None else f"{known.suspend_after_s:g} s"
        fields = {"suspend_after_s": suspends, "latency": str(known.latency),
                  "on_suspend": known.on_suspend.value, "while_waking": known.while_waking.value}  # fmt: skip
        guessed = {name: any(one.startswith(name) for one in known.unsourced) for name in fields}
        table.add_row(f"  {known.name}", *(text + GUESSED * guessed[name] for name, text in fields.items()))
    yield table
