"""`coldstart`: a module for each command. This one turns `UserError` and `StackError` into exit statuses."""

import importlib
import os
import sys
import warnings
from typing import Any

import click

from harness.cli.exhausted import exhausted
from harness.cli.terminal import OutputError, echo, one_line, prepare_streams
from harness.model.errors import StackError, UserError
from harness.model.exit_status import EXIT_INTERRUPTED, EXIT_STACK, EXIT_USER
from harness.processes.interruption import interruptible

COMMANDS = {
    "run": "Run SCENARIO and compare its pools.",
    "requests": "Make a requests file: what an application of your own is asked.",
    "record": "Record what your application says to PostgreSQL, so that it can be played in virtual time.",
    "sweep": "Play SCENARIO with a grid of pools, simulated.",
    "resume": "Play the rest of RUN, which was cut short.",
    "recommend": "Say what to set for SCENARIO.",
    "lint": "Check a configuration's timeouts, each by a trial in virtual time.",
    "check": "Judge the objectives of the checks in FILE (docs/gate.md).",
    "worst": (
        "Find the smallest story that breaks a pool: SCENARIO's, or one drawn within bounds, shrunk to what it needs."
    ),
    "compare": "Compare the pools of RUNS, with intervals.",
    "diff": "Find where two trials part: two RUNS, or two pools of one.",
    "report": "Write report.html: all of RUN in one file.",
    "postmortem": "Write postmortem.md: a draft, with its charts.",
    "runs": "List the runs, or remove old ones (--prune).",
    "new": "Write NAME.py, a commented scenario to begin with.",
    "scenario": "Make a scenario file.",
    "list": "Show scenarios, settings and wake profiles.",
    "examples": "Write scenarios, sample runs and notebooks into FOLDER, to read and to change.",
    "up": "Serve a PostgreSQL that really sleeps.",
    "suspend": "Suspend the database of a running `coldstart up` now.",
    "wake": "Wake the database of a running `coldstart up`.",
    "guest-path": "Print the folder for an application's PYTHONPATH: `from coldstart_guest import observed`.",
    "toxiproxy": "Serve Toxiproxy's HTTP API and its toxics.",
    "calibrate": "Measure round trip, connect and statement times.",
    "doctor": "Show what this machine can run, and what is missing.",
}
"""Each command is a module; with the first sentence of its help, so that `coldstart --help` imports none of them."""
MODULES = {"list": "listing"}
"""A command's module, where it is not of its name."""


class LazyGroup(click.Group):
    """Imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """As click does it, but click itself would answer Ctrl-C with an empty line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            return _explain("interrupted", EXIT_INTERRUPTED)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = MODULES.get(cmd_name, cmd_name.replace("-", "_"))
        found = vars(importlib.import_module(f"harness.cli.{module}")).values()
        return next(one for one in found if isinstance(one, click.Command) and one.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        # Not at the top: it reads the installed packages' metadata.
        from harness import __version__

        echo(f"coldstart, version {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def coldstart() -> None:
    """Replay a serverless PostgreSQL cold start against the connection pools you are choosing between.

    \b
    Exit status:
      0    done
      1    not as expected (run) or predicted (recommend), or not alike (diff)
      2    bad input
      3    a part of the stack died
      4    missed: an objective, or a rule of lint; or a --fail-if holds
      5    unknown: a trial was no measurement, or what an objective is about was none
      130  Ctrl-C, SIGTERM or SIGHUP
    """


def main(arguments: list[str] | None = None) -> None:
    """Run `coldstart` and exit with its status, one of those in the help above."""
    try:
        with interruptible():
            prepare_streams()
            status = _status(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = _explain("interrupted", EXIT_INTERRUPTED)
    except OutputError as error:
        status = _explain(str(error), EXIT_STACK)
    except BaseException as error:
        # What this machine has run out of is no bug, wherever it was noticed.
        if (lacking := exhausted(error)) is None:
            raise
        # An event loop that got no files complains as it is collected, and so does what it was to run.
        sys.unraisablehook = lambda _: None
        warnings.simplefilter("ignore", RuntimeWarning)
        status = _explain(lacking, EXIT_STACK)
    sys.exit(status)


def _status(arguments: list[str] | None) -> int:
    try:
        result: Any = coldstart.main(arguments, prog_name="coldstart", standalone_mode=False)
    except click.UsageError as error:
        return _explain(_usage(error), EXIT_USER)
    except click.ClickException as error:
        return _explain(error.format_message(), EXIT_USER)
    except UserError as error:
        return _explain(str(error), EXIT_USER)
    except StackError as error:
        return _explain(str(error), EXIT_STACK)
    except click.Abort:
        return _explain("interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        if error.filename is None or exhausted(error) is not None:
            raise
        # A path that somebody typed, and that the file system refuses: too long, or not to be looked at.
        return _explain(f"{os.fsdecode(error.filename)}: {error.strerror}", EXIT_USER)
    return result if isinstance(result, int) else 0


def _usage(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "coldstart"
    return f"{error.format_message()} (see {command} --help)"


def _explain(message: str, status: int) -> int:
    """Print the message as one printable line on standard error, and return `status`."""
    echo(f"coldstart: {one_line(message)}", err=True)
    return status
