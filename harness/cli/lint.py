"""`coldstart lint`: the chain of timeouts of a configuration, and for each finding a trial that fails because of it."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.table import Table
from rich.text import Text

from harness.application.env_file import EnvFile
from harness.application.variables import read_variables
from harness.cli.console import console
from harness.cli.options import BEHAVIOUR, FILE, with_options
from harness.cli.questions import read_pool, read_settings
from harness.cli.table import INDENT
from harness.cli.terminal import echo
from harness.lint.case import Case
from harness.lint.configuration import Configuration, of_pool, of_variables
from harness.model.errors import UserError
from harness.model.exit_status import EXIT_MISSED
from harness.model.patience import PERSON_WAITS_S
from harness.model.server import PoolMode
from harness.model.wake import WakeProfile, profile, read_wake
from harness.processes.cancelling import run_async

if TYPE_CHECKING:
    from harness.lint.linting import Linted

ENVIRONMENT = "the environment"
POOLER_MODES = list(get_args(PoolMode))


@click.command()
@click.option(
    "--env-file", type=FILE, metavar="FILE", help="The variables of the service: .env.  [default: this shell's]"
)
@click.option(
    "--env", "variables", multiple=True, metavar="MAPPING",
    help="An application's own names: url=DB_URL,pool_size=DB_POOL, or a ready mapping; repeatable.",
)  # fmt: skip
@click.option("--pool", metavar="POOL", help="Instead of variables a pool: 10+5,pool_timeout=30.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting that stands in the code; repeatable."
)
@click.option("--wake", required=True, metavar="WAKE", help="neon, 8, neon:8, or a CSV file of measured wakes.")
@with_options(BEHAVIOUR)
@click.option("--addresses", type=int, metavar="N", help="Addresses of the database's host.  [default: the profile's]")
@click.option(
    "--client-timeout", "client_timeout_s", type=float, default=PERSON_WAITS_S, show_default=True, metavar="SECONDS",
    help="How long whoever asks the service waits.",
)  # fmt: skip
@click.option("--instances", type=int, default=1, show_default=True, metavar="N", help="Instances of the service.")
@click.option("--workers", type=int, default=1, show_default=True, metavar="N", help="Processes of an instance.")
@click.option("--max-connections", type=int, metavar="N", help="The database's own setting.")
@click.option(
    "--idle-timeout", "idle_timeout_s", type=float, metavar="SECONDS",
    help="Of a load balancer or NAT in front of the database.",
)  # fmt: skip
@click.option("--pooler", type=click.Choice(POOLER_MODES), help="A PgBouncer in front of the database: its pool_mode.")
@click.option("--listener", is_flag=True, help="Each process keeps a connection for LISTEN beside its pool.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
def lint(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Check a configuration's timeouts, each by a trial in virtual time.

    Exit status 4: there is a finding.
    """
    case = _case(given)
    linted = _linted(case)
    if given["as_json"]:
        from harness.lint.report import to_json

        echo(json.dumps(to_json(linted)))
    else:
        _print(linted)
    return EXIT_MISSED if linted.findings else 0


def _case(given: Mapping[str, Any]) -> Case:
    """The options as a case. Raises `UserError`."""
    return Case(
        configuration=_configuration(given),
        wake=_wake(given),
        **{
            name: given[name]
            for name in (
                "client_timeout_s", "instances", "workers", "max_connections", "idle_timeout_s", "pooler", "listener",
            )
        },
    )  # fmt: skip


def _configuration(given: Mapping[str, Any]) -> Configuration:
    settings = read_settings(given["settings"])
    if given["pool"] is not None:
        for name, option in (("env_file", "--env-file"), ("variables", "--env")):
            if given[name]:
                raise UserError(f"{option} is for variables, and --pool is a pool", where="lint", allowed="one of them")
        if given["pool"].split(",")[0] == "env":
            raise UserError("'env' is this shell's variables", where="--pool", allowed="lint without --pool")
        return of_pool(given["pool"], read_pool(given["pool"]).with_settings(settings))
    environment: Mapping[str, str] = os.environ
    source = ENVIRONMENT
    if given["env_file"] is not None:
        environment, source = EnvFile.read(given["env_file"]).values, str(given["env_file"])
    variables = read_variables(given["variables"]) if given["variables"] else None
    return of_variables(environment, source=source, variables=variables, settings=settings)


def _wake(given: Mapping[str, Any]) -> WakeProfile:
    wake = read_wake(given["wake"], where="--wake").applied_to(profile("neon"))
    wake = wake.with_changes(on_suspend=given["on_suspend"], while_waking=given["while_waking"])
    return wake if given["addresses"] is None else replace(wake, addresses=given["addresses"])


def _linted(case: Case) -> "Linted":
    # Only now: it imports the drivers, and bad input is told at once.
    from harness.lint.linting import lint as every_rule
    from harness.search.playing import Playing

    async def playing() -> "Linted":
        async with Playing.running(say=lambda line: echo(line, err=True)) as found:
            return await every_rule(case, found)

    return run_async(playing())


def _print(linted: "Linted") -> None:
    from harness.lint import report

    screen = console()
    screen.print(Text(report.verdict(linted), "bold red" if linted.findings else "bold green"))
    for line in report.surroundings(linted.case):
        screen.print(line)
    for number, finding in enumerate(linted.findings, start=1):
        screen.print()
        screen.print(Text(f"{number}. {finding.sentence}", "bold"))
        rows = [("played", report.counted(finding.result))]
        if finding.mended is None:
            rows.append(("mend", "none of what was tried mends it"))
        else:
            rows += [("mend", line) for line in report.mend_lines(linted.case, finding.mended.mend)]
            rows.append(("then", report.counted(finding.mended.result)))
        screen.print(_named(rows))
    mended = [finding for finding in linted.findings if finding.mended is not None]
    if linted.together is not None and (len(mended) > 1 or linted.together.still):
        screen.print()
        screen.print(Text(report.together_words(linted), "bold"))
        for line in report.together_lines(linted):
            # Not wrapped: it is there to be copied.
            screen.print(Text(f"{' ' * INDENT}{line}"), soft_wrap=True)
    screen.print()
    for held in linted.holds:
        screen.print(f"holds: {held.rule.name} ({report.counted(held.result)})")
    if linted.not_asked:
        screen.print(Text(report.not_asked(linted), "dim"))
    for sentence in linted.known:
        screen.print(f"• {sentence}")


def _named(rows: Iterable[tuple[str, str]]) -> Table:
    """The lines below a finding, each with its name; the same name is written once."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(width=6 + INDENT, justify="right")
    table.add_column(overflow="fold")
    before = ""
    for name, text in rows:
        table.add_row(Text("" if name == before else name, "dim"), Text(text))
        before = name
    return table
