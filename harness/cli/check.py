"""`coldstart check`: objectives as a gate, for a build that is to fail when they are missed."""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import FILE, FOLDER
from harness.cli.run import plan_of, run
from harness.cli.terminal import echo
from harness.model.errors import UserError
from harness.model.paths import is_file, is_folder
from harness.results.disk import writing
from harness.results.folder import DEFAULT_RUNS
from harness.stacks.choose import STACKS

if TYPE_CHECKING:
    from harness.gate.checks import Checked
    from harness.gate.file import Check, Option
    from harness.gate.play import PlannedCheck

NOT_OF_A_CHECK = frozenset({"scenario", "out", "as_json", "charts", "fail_if"})
"""Parameters of `coldstart run` that are about its own output."""
ALSO_NUMBERS = frozenset({"wake"})
"""Options whose text is often a number."""
SUMMARY = "GITHUB_STEP_SUMMARY"


@click.command()
@click.argument("file", type=FILE, default="coldstart.toml")
@click.option("--stack", type=click.Choice(["auto", *STACKS]), help="Where to play, in place of what the file says.")
@click.option("--junit", type=FILE, help="Also write JUnit XML.")
@click.option("--markdown", type=FILE, help=f"Also write a summary in Markdown; ${SUMMARY}, where set, gets it anyway.")
@click.option(
    "--annotations/--no-annotations", default=None, help="Mark what is not met for GitHub.  [default: in its Actions]"
)
@click.option("--write-baselines", is_flag=True, help="Keep each run as its check's baseline for the next time.")
@click.option("--charts/--no-charts", default=False, show_default=True, help="Draw the charts of each run.")
@click.option("--out", type=FOLDER, help="Where runs are kept. [default: results/runs beside FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
def check(file: Path, **given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Judge the objectives of the checks in FILE (docs/gate.md).

    \b
    An objective is met when the requests of all seeds together meet it.
    Exit status: 0 all are met, 4 one is missed, 5 none is missed and one is
    unknown (no measurement), 2 bad input, 3 a stack died, 130 Ctrl-C.
    """
    from harness.gate.annotations import annotations as annotated
    from harness.gate.checks import Gate
    from harness.gate.file import read_checks
    from harness.gate.junit import junit as in_junit
    from harness.gate.markdown import markdown as in_markdown

    junit, markdown = given["junit"], given["markdown"]
    for path in (junit, markdown):
        if path is not None and not is_folder(path.absolute().parent):
            raise UserError("no such folder", where=str(path.parent))
    checks = read_checks(file, _options())
    runs = (given["out"] or file.parent / DEFAULT_RUNS).resolve()
    # Everything that the file names is found from its own folder.
    with contextlib.chdir(file.parent):
        planned = [_planned(one, file, given["stack"], may_be_missing=given["write_baselines"]) for one in checks]
        played = tuple(_played(planned, runs, charts=given["charts"]))
        if given["write_baselines"]:
            played = tuple(_kept(one, checked) for one, checked in zip(planned, played, strict=True))
    gate = Gate(str(file), played)
    if given["as_json"]:
        echo(json.dumps(gate.to_json(), allow_nan=False))
    else:
        from harness.cli.check_output import print_gate

        print_gate(gate)
    if junit is not None:
        with writing(junit):
            junit.write_text(in_junit(gate), encoding="utf-8")
    _summarise(in_markdown(gate), markdown, os.environ)
    asked = given["annotations"]
    if "GITHUB_ACTIONS" in os.environ if asked is None else asked:
        for line in annotated(gate):
            echo(line, err=True)
    return gate.exit_status


def _options() -> "dict[str, Option]":
    """The options of `coldstart run` that a check may have, by name: a new one there is a new key here."""
    from harness.gate.file import Option

    found = {}
    for parameter in run.params:
        if not isinstance(parameter, click.Option) or parameter.name in NOT_OF_A_CHECK:
            continue
        name = parameter.opts[0].removeprefix("--")
        kind = parameter.type
        if parameter.is_flag:
            option = Option((bool,), "true or false", switch=True)
        elif isinstance(kind, click.types.IntParamType):
            option = Option((int,), "a whole number")
        elif isinstance(kind, click.types.FloatParamType):
            option = Option((int, float), "a number")
        elif name in ALSO_NUMBERS:
            option = Option((str, int, float), "a number or text")
        else:
            option = Option((str,), "text")
        found[name] = replace(option, repeatable=parameter.multiple)
    return found


def _planned(check: "Check", file: Path, stack: str | None, *, may_be_missing: bool) -> "PlannedCheck":
    """Find everything that a check names. Raises `UserError` with the file and the check."""
    from harness.analysis import load
    from harness.gate.keep import check_place
    from harness.gate.play import PlannedCheck

    where = f"{file}: check {check.name}"
    words = [*check.words, *([] if stack is None else [f"--stack={stack}"]), "--", check.scenario]
    try:
        chosen, plan, options = plan_of(words)
        chosen[0].check(plan, options)
    except UserError as error:
        # `--wake: 'neo' is not a wake` is about the key `wake`.
        raise UserError(str(error).removeprefix("--").removeprefix("coldstart run: "), where=where) from None
    baseline = None
    try:
        if check.baseline is not None:
            if may_be_missing:
                check_place(Path(check.baseline), where="baseline")
            if not may_be_missing or is_folder(Path(check.baseline)) or is_file(Path(check.baseline)):
                baseline = load(check.baseline)
    except UserError as error:
        allowed = error.allowed and f"{error.allowed}; coldstart check --write-baselines makes it"
        raise UserError(f"baseline: {error.where}: {error.what}", where=where, allowed=allowed) from None
    return PlannedCheck(check=check, stack=chosen, plan=plan, options=options, baseline=baseline)


def _played(planned: "Sequence[PlannedCheck]", runs: Path, *, charts: bool) -> "list[Checked]":
    """Each check, one after the other. After Ctrl-C the others are not played, and unknown."""
    from harness.cli.progress import watching
    from harness.gate.play import play, unplayed
    from harness.model.exit_status import EXIT_INTERRUPTED

    found: list[Checked] = []
    for one in planned:
        if found and found[-1].exit_status == EXIT_INTERRUPTED:
            found.append(unplayed(one, exit_status=EXIT_INTERRUPTED))
            continue
        with watching(one.plan.trials) as progress:
            progress.say(f"check {len(found) + 1} of {len(planned)}: {one.check.name}")
            found.append(play(one, progress=progress, out=runs, charts=charts, argv=sys.argv[1:]))
    return found


def _kept(planned: "PlannedCheck", checked: "Checked") -> "Checked":
    """The check with a note of what became of its baseline."""
    from harness.gate.keep import keep

    if planned.check.baseline is None:
        return checked
    return replace(checked, notes=(*checked.notes, keep(checked, Path(planned.check.baseline))))


def _summarise(page: str, file: Path | None, environment: Mapping[str, str]) -> None:
    """Write the Markdown where it was asked for, and where GitHub collects the summary of a step."""
    if file is not None:
        with writing(file):
            file.write_text(page, encoding="utf-8")
    if summary := environment.get(SUMMARY):
        path = Path(summary)
        with writing(path), path.open("a", encoding="utf-8") as step:
            step.write(page)
