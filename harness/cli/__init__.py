"""`coldstart`: a module for each command. This one turns `UserError` and `StackError` into exit statuses."""

import importlib
import os
import sys
import warnings
from typing import Any

import click

from harness import __version__
from harness.cli.exhausted import exhausted
from harness.cli.terminal import OutputError, echo, one_line, prepare_streams
from harness.model.errors import StackError, UserError
from harness.model.exit_status import EXIT_INTERRUPTED, EXIT_STACK, EXIT_USER
from harness.processes.interruption import interruptible

COMMANDS = {
    "run": "harness.cli.run:run",
    "requests": "harness.cli.requests:requests",
    "record": "harness.cli.record:record",
    "sweep": "harness.cli.sweep:sweep",
    "recommend": "harness.cli.recommend:recommend",
    "lint": "harness.cli.lint:lint",
    "check": "harness.cli.check:check",
    "worst": "harness.cli.worst:worst",
    "compare": "harness.cli.compare:compare",
    "diff": "harness.cli.diff:diff",
    "report": "harness.cli.report:report",
    "postmortem": "harness.cli.postmortem:postmortem",
    "runs": "harness.cli.runs:runs",
    "new": "harness.cli.new:new",
    "scenario": "harness.cli.scenario:scenario",
    "list": "harness.cli.listing:list_",
    "examples": "harness.cli.examples:examples",
    "up": "harness.cli.up:up",
    "suspend": "harness.cli.suspend:suspend",
    "wake": "harness.cli.wake:wake",
    "guest-path": "harness.cli.guest_path:guest_path",
    "toxiproxy": "harness.cli.toxiproxy:toxiproxy",
    "calibrate": "harness.cli.calibrate:calibrate",
    "doctor": "harness.cli.doctor:doctor",
}


class LazyGroup(click.Group):
    """Imports a command only when it is called, so that `coldstart --help` does not import pandas."""

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
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="coldstart")
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
