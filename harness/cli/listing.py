"""`coldstart list`: scenarios, pool configurations, settings and wake profiles."""

from collections.abc import Iterator
from dataclasses import fields

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.cli.console import console
from harness.cli.table import INDENT, Column, Row, Sheet
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
TOPICS = ("scenarios", "settings", "listener", "profiles")


@click.command("list")
@click.argument("topic", type=click.Choice(TOPICS), required=False)
def list_(topic: str | None) -> None:
    """Show scenarios, settings and wake profiles."""
    topics = {"scenarios": _scenarios, "settings": _settings, "listener": _listener, "profiles": _profiles}
    console().print(Group(*(part for name in ([topic] if topic else TOPICS) for part in (*topics[name](), ""))))


def _scenarios() -> Iterator[RenderableType]:
    yield Text("Scenarios", "bold")
    for name in scenario_names():
        yield Padding(Text(name, "bold"), (0, 0, 0, INDENT))
        yield from (Padding(line, (0, 0, 0, 2 * INDENT)) for line in _scenario(name))


def _scenario(name: str) -> Iterator[Text]:
    try:
        scenario = load_scenario(name)
    except UserError as error:
        yield Text(str(error), "red")
        return
    yield Text(scenario.description.partition("\n")[0])
    yield Text("pools: " + ", ".join(_pool(pool) for pool in scenario.pool_configurations))
    if scenario.variants:
        yield Text("variants: " + ", ".join(variant.name for variant in scenario.variants))
    yield Text("wakes: " + ", ".join(f"{wake.name} {wake.latency}" for wake in scenario.wakes))


def _pool(pool: PoolConfiguration) -> str:
    return f"{pool.name} ({pool.label})" if pool.name else pool.label


def _settings() -> Iterator[RenderableType]:
    yield Text("Settings", "bold")
    yield f"  --set NAME=VALUE; in the environment {ENVIRONMENT_PREFIX} and the name in capitals"
    rows = []
    for name, value in PoolConfiguration().to_json().items():
        default = f"{value:g}" if isinstance(value, float) else str(value).lower()
        rows.append(Row(name, [default, MEANINGS[name]]))
    yield Sheet("name", [Column("default"), Column("meaning", wraps=True)], rows)


def _listener() -> Iterator[RenderableType]:
    yield Text("Queue listener", "bold")
    yield "  QueueListener(...) in a scenario; in the service's environment LISTENER_ and the name in capitals"
    rows = []
    for field in fields(QueueListener):
        name = field.name.removesuffix("_s")
        default = field.default if isinstance(field.default, str) else f"{field.default:g}"
        rows.append(Row(name, [default, LISTENER_MEANINGS[name]]))
    yield Sheet("name", [Column("default"), Column("meaning", wraps=True)], rows)


def _profiles() -> Iterator[RenderableType]:
    yield Text("Wake profiles", "bold")
    yield f"  --wake NAME, or NAME:SECONDS; {GUESSED} marks a guess: no source was found, measure it"
    names = ("suspends after", "wake latency", "on suspend", "while waking")
    rows = []
    for known in PROFILES.values():
        suspends = "never" if known.suspend_after_s is None else f"{known.suspend_after_s:g} s"
        values = {"suspend_after_s": suspends, "latency": str(known.latency),
                  "on_suspend": known.on_suspend.value, "while_waking": known.while_waking.value}  # fmt: skip
        guessed = {name: any(field.startswith(name) for field in known.unsourced) for name in values}
        rows.append(Row(known.name, [text + GUESSED * guessed[name] for name, text in values.items()]))
    yield Sheet("name", [Column(name, wraps=True) for name in names], rows)
