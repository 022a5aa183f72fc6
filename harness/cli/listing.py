"""`coldstart list`: scenarios, pool configurations, settings and wake profiles."""

import click
from rich.console import Console
from rich.table import Table

from harness.errors import UserError
from harness.library import load_scenario, scenario_names
from harness.pool import ENVIRONMENT_PREFIX, MEANINGS, PoolConfiguration
from harness.wake import PROFILES

TOPICS = ("scenarios", "settings", "profiles")


@click.command("list")
@click.argument("topic", type=click.Choice(TOPICS), required=False)
def list_(topic: str | None) -> None:
    """Show what can be run: scenarios and their pools, settings, wake profiles."""
    console = Console()
    tables = {"scenarios": _scenarios, "settings": _settings, "profiles": _profiles}
    for name in [topic] if topic else TOPICS:
        console.print(tables[name]())


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _scenarios() -> Table:
    table = _table("Scenarios", "name", "story", "pools", "wakes")
    for name in scenario_names():
        try:
            scenario = load_scenario(name)
        except UserError as error:
            table.add_row(name, f"[red]{error}[/red]")
            continue
        pools = ", ".join(pool.label for pool in scenario.pool_configurations)
        wakes = ", ".join(f"{wake.name} {wake.latency}" for wake in scenario.wakes)
        table.add_row(name, scenario.story.partition("\n")[0], pools, wakes)
    return table


def _settings() -> Table:
    table = _table(
        "Settings (--set NAME=VALUE, or the environment of the service)", "name", "default", "meaning", "environment"
    )
    for name, value in PoolConfiguration().to_json().items():
        table.add_row(name, str(value).lower(), MEANINGS[name], ENVIRONMENT_PREFIX + name.upper())
    return table


def _profiles() -> Table:
    table = _table("Wake profiles", "name", "suspends after", "wake latency", "on suspend", "while waking", "guessed")
    for known in PROFILES.values():
        table.add_row(
            known.name,
            f"{known.suspend_after_s:g} s",
            str(known.latency),
            known.on_suspend,
            known.while_waking,
            ", ".join(known.unsourced),
        )
    return table
