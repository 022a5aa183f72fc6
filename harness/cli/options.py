"""The options that change a scenario, for every command that plays one."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.kernel import KERNELS, LINUX_6_5
from harness.model.limits import LARGEST_SEED, MAX_PROCESSES, MAX_TRIALS

CALIBRATION = click.Path(dir_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def _values(choices: Iterable[StrEnum]) -> list[str]:
    # Given the enum itself, click would offer its members' names instead of their values.
    return [choice.value for choice in choices]


PATTERNS = _values(pattern for pattern in Pattern if pattern is not Pattern.GIVEN)
"""All patterns but `given`, whose moments only a scenario can state."""
BEHAVIOUR = (
    click.option("--on-suspend", type=click.Choice(_values(OnSuspend)), help="What happens to open connections."),
    click.option("--while-waking", type=click.Choice(_values(WhileWaking)), help="What a new connection meets."),
)
LOAD = (
    click.option("--requests", type=int, help="Requests of the burst."),
    click.option("--over", "over_s", type=float, metavar="SECONDS", help="How long the burst is."),
    click.option("--arrivals", type=click.Choice(PATTERNS), help="How the arrivals lie in time."),
    click.option(
        "--warm", type=int, metavar="CONNECTIONS", help="Connections the pool holds when the compute suspends."
    ),
)
STORY = (
    *LOAD,
    *BEHAVIOUR,
    click.option(
        "--alert-after", "alert_sustained_s", type=float, metavar="SECONDS", help="How long a pool must be over 80%."
    ),
)
SEEDS = (
    click.option("--repeat", type=click.IntRange(1, MAX_TRIALS), default=1, show_default=True, help="Seeds to run."),
    click.option(
        "--seed",
        type=click.IntRange(0, LARGEST_SEED),
        default=1,
        show_default=True,
        help="What the arrivals and the wakes are drawn from.",
    ),
    click.option(
        "--parallel", type=click.IntRange(1, MAX_PROCESSES), help="Trials at a time; left out, the stack decides."
    ),
)
SIMULATED = (
    click.option(
        "--service-time", "service_time_s", type=float, metavar="SECONDS", help="Simulated only: a query's time."
    ),
    click.option("--connect-time", "connect_time_s", type=float, metavar="SECONDS", help="Simulated only: a connect."),
    click.option("--calibration", type=CALIBRATION, help="Simulated only: times that coldstart calibrate measured."),
    click.option(
        "--kernel",
        type=click.Choice(list(KERNELS)),
        help=f"Simulated only: how long a kernel asks again where nobody answers.  [default: {LINUX_6_5.name}]",
    ),
)
STARTED = (
    click.option("--app", metavar="MODULE:APP", help="Your own ASGI application."),
    click.option(
        "--python", metavar="PATH", help="Its interpreter or virtual environment.  [default: coldstart's own]"
    ),
    click.option("--app-dir", "folder", type=FOLDER, help="Where it is started.  [default: this folder]"),
    click.option(
        "--env",
        "variables",
        multiple=True,
        metavar="MAPPING",
        help="Which of its variables carry what: url=DB_URL,pool_size=DB_POOL, or a ready mapping; repeatable.",
    ),
)
"""What an application is, for whatever only imports it."""
RECORDED = (
    *STARTED,
    click.option(
        "--requests-file", "requests_file", type=FILE, help="What it is asked.  [default: requests.toml beside it]"
    ),
    click.option("--init", type=FILE, help="A file of SQL that makes its tables."),
    click.option("--prepare", metavar="COMMAND", help="A command that makes its tables: 'alembic upgrade head'."),
)
"""What an application is, for whatever starts one."""
APPLICATION = (
    *RECORDED,
    click.option(
        "--recording", type=FILE, help="Simulated only: what answers it.  [default: recording.jsonl beside it]"
    ),
    click.option(
        "--stub",
        "stubs",
        multiple=True,
        metavar="HOST=SECONDS",
        help="Simulated only: a host outside that answers after this time; repeatable.",
    ),
    click.option("--cpu/--no-cpu", default=False, help="Simulated only: its and its database's computing takes time."),
)
RUNNING = (
    click.option("--target", metavar="URL", help="Your own application, running on the database of coldstart up."),
    click.option(
        "--up-port", type=click.IntRange(1, 65_535), metavar="PORT", help="Which coldstart up, where several run."
    ),
)
"""An application that is running already."""
OBJECTIVES = (
    click.option(
        "--slo",
        "objectives",
        multiple=True,
        metavar="OBJECTIVE",
        help="What it must meet: failed<1%, p(95)<12s, answered_within(10s)>99%; repeatable.  [default: failed<1%]",
    ),
    click.option(
        "--patience",
        "patience_s",
        type=float,
        metavar="SECONDS",
        help="A later answer is a failed one.  [default: the story's, else the client's timeout up to 30]",
    ),
)
"""What a configuration must meet, and when an answer is none."""
KEEPING = (
    click.option(
        "--control/--no-control", default=True, show_default=True, help="Also the same arrivals, compute awake."
    ),
    click.option("--charts/--no-charts", default=None, help="Draw the charts.  [default: unless --json]"),
    click.option("--out", type=FOLDER, help="Where runs are kept. [default: results/runs]"),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else."),
)

SCHEDULED = (
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Simulated only: play the trials on the workers of this Dask scheduler, tcp://HOST:8786 "
        "(docs/simulation.md).",
    ),
)
"""Past one machine."""
FAILING = (
    click.option(
        "--fail-if",
        "fail_if",
        multiple=True,
        metavar="CONDITION",
        help="Exit with status 4 where this holds for a pool at a wake, over all its seeds together; not of controls. "
        "It is the opposite of an objective: 'failed>1%' fails where 'failed<=1%' is missed; repeatable.",
    ),
)
"""When a run is to fail a build."""

Command = Callable[..., Any]


def with_options(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """A decorator that adds these groups of options to a command, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate
