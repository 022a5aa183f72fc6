"""`coldstart scenario from-log`: a scenario file with the load of a log."""

import os
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.access_log import Stretch, peak, read_log, stretches
from harness.cli.console import console
from harness.cli.questions import read_pool
from harness.cli.scenario_text import ScenarioText
from harness.cli.table import Column, Row, Sheet
from harness.cli.terminal import echo
from harness.cli.written import write_scenario
from harness.model.arrivals import RequestName
from harness.model.errors import UserError
from harness.model.pool import SHORT_FORM_ALLOWED
from harness.model.replay import REQUEST_COLUMN, SECOND_US, TIME_COLUMN, Kinds, Logged, Replay
from harness.model.timeline import Burst

LOG = click.Path(path_type=Path)
POOLS = ("5+0", "10+5")
NAMED = {**{f"{method} *": "write_play" for method in ("POST", "PUT", "PATCH", "DELETE")},
         **{name.value: name.value for name in RequestName if name is not RequestName.READ_TRACK}}  # fmt: skip
"""What a log's requests are taken for; all others are a `read_track`."""
A_DATE_FROM_US = 100_000_000 * SECOND_US
"""Moments before 1973 are seconds since some beginning, not dates."""


@click.group()
def scenario() -> None:
    """Make a scenario file."""


@scenario.command("from-log")
@click.argument("log", type=LOG)
@click.option("--time-column", default=TIME_COLUMN, show_default=True, metavar="NAME", help="Column of the moments.")
@click.option(
    "--request-column", default=REQUEST_COLUMN, show_default=True, metavar="NAME", help="Column of the requests."
)
@click.option("--replay", is_flag=True, help="Replay every request at its moment, instead of phases of one rate.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="2: twice as fast.")
@click.option("--rate", type=float, default=1.0, show_default=True, help="0.5: every second request; 2: each twice.")
@click.option("--pool", "pools", multiple=True, metavar="POOL", help="10+5, or 10+5,pool_timeout=30; repeatable.")
@click.option("--out", type=LOG, metavar="FILE.py", help="The file to write.  [default: here, named as the log]")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def from_log(log: Path, out: Path | None, **given: Any) -> None:  # noqa: ANN401 - click's options, each with its type above
    """Write a scenario with the load of LOG.

    LOG is CSV with a header, JSON lines (.jsonl, .ndjson, .json), or an access log of nginx or Apache (.log).
    """
    out = out or Path(f"{_name_of(log)}.py")
    if out.suffix != ".py":
        raise UserError("is no Python file", where=f"--out {out}", allowed="a path that ends in .py")
    pools = tuple(_pool_text(text) for text in given["pools"] or POOLS)
    columns = (given["time_column"], given["request_column"])
    logged = read_log(log, columns=columns)
    kinds = Kinds([(pattern, RequestName(name)) for pattern, name in NAMED.items()])
    occurring = {kinds.pattern(one.request) for one in logged}
    replay = Replay(
        Path(os.path.relpath(log, out.parent)).as_posix(),
        speed=given["speed"],
        rate=given["rate"],
        columns=columns,
        requests={pattern: name for pattern, name in NAMED.items() if pattern in occurring},
    )
    burst = replay.burst(logged)
    found = stretches(burst.given_s)
    shown = re.sub(r"[^\w .,+-]", "_", log.name)[:60]
    text = ScenarioText(
        name=_name_of(out),
        about=f"The load of {shown}, on a database that has just suspended: {_size(burst)}.",
        pools=pools,
        mix=burst.mix,
    )
    written = text.with_replay(replay) if given["replay"] else text.with_bursts(found)
    write_scenario(out, written, force=given["force"], otherwise="another --out, or --force to write over it")
    _tell(log, logged, burst, found)


def _name_of(path: Path) -> str:
    """A scenario's name from a file's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:64] or "log"


def _pool_text(text: str) -> str:
    short, *settings = text.split(",")
    if short == "env":
        raise UserError("'env' is not a pool in a file", where="--pool", allowed=SHORT_FORM_ALLOWED)
    pool = read_pool(text)
    values = {name: pool.to_json()[name] for name in (setting.partition("=")[0].strip() for setting in settings)}
    if not values:
        return f'"{pool.short}"'
    named = (f"{name}={_python(value)}" for name, value in values.items())
    return f'pool("{short.strip()}", {", ".join(named)})'


def _python(value: float | bool | str) -> str:
    return f"{value:g}" if isinstance(value, float) else f'"{value}"' if isinstance(value, str) else str(value)


def _size(burst: Burst) -> str:
    return f"{burst.requests} requests over {burst.over_s:.0f} s"


def _tell(log: Path, logged: list[Logged], burst: Burst, found: list[Stretch]) -> None:
    moments_s = [(one.at_us - logged[0].at_us) / SECOND_US for one in logged]
    in_a_minute = peak(moments_s, 60)
    echo(f"{log.name}: {len(logged)} requests, from {_moment(logged[0])} to {_moment(logged[-1])}")
    echo(f"most in a second: {peak(moments_s, 1)}; in a minute: {in_a_minute}, {in_a_minute / 60:.3g} a second")
    asked = Counter(burst.given_requests)
    echo(f"taken for {', '.join(f'{count} {name}' for name, count in asked.most_common())}")
    echo(f"played: {_size(burst)}, in {len(found)} phase{'s' * (len(found) > 1)} of one rate")
    rows = [Row(f"{one.start_s:g} s", [f"{one.for_s:g} s", str(one.requests), f"{one.per_s:.3g}/s"]) for one in found]
    console().print(Sheet("from", [Column("for"), Column("requests"), Column("rate")], rows))


def _moment(one: Logged) -> str:
    if one.at_us < A_DATE_FROM_US:
        return f"{one.at_us / SECOND_US:g} s"
    return f"{datetime.fromtimestamp(one.at_us // SECOND_US, UTC):%Y-%m-%d %H:%M:%S} UTC"
