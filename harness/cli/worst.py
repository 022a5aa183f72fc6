"""`coldstart worst`: the smallest story that breaks a configuration, as a scenario file."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from harness.cli.console import console as output_console
from harness.cli.options import APPLICATION, FILE, LOAD, OBJECTIVES, SIMULATED, with_options
from harness.cli.terminal import echo
from harness.model.errors import UserError
from harness.model.exit_status import EXIT_MISSED
from harness.model.limits import LARGEST_SEED, MAX_PROCESSES, MAX_TRIALS, check_name
from harness.model.paths import is_folder
from harness.processes.cancelling import run_async

if TYPE_CHECKING:
    from harness.worst.search import Found, Question

TRIALS = 300
"""A story that nothing but luck finds needs more; what timeouts decide is found in the first ten."""


@click.command()
@click.argument("scenario")
@with_options(OBJECTIVES)
@click.option("--pool", metavar="POOL", help="What to break: 10+5,pool_timeout=30; or env.  [default: the scenario's]")
@click.option("--env-file", type=FILE, help="What to break, as DATABASE_ lines.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the pool; repeatable.")
@click.option(
    "--wake-up-to", "wake_s", type=float, metavar="SECONDS", help="The longest wake.  [default: the scenario's]"
)
@click.option("--requests-up-to", "most_requests", type=int, help="The most requests.  [default: the scenario's]")
@click.option(
    "--over-up-to", "longest_s", type=float, metavar="SECONDS", help="The longest burst.  [default: the scenario's]"
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="WHAT",
    help="What may happen: deploy, suspend, outage:5, loss:50%, slow:0.2, none; also freeze, refuse, … beside the "
    "scenario's own; repeatable.  [default: deploy]",
)
@click.option(
    "--trials",
    type=click.IntRange(1, MAX_TRIALS),
    default=TRIALS,
    show_default=True,
    help="How many stories may be played, a third of them to shrink what is found.",
)
@click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), default=1, show_default=True, help="What stories are drawn from."
)
@click.option("--parallel", type=click.IntRange(1, MAX_PROCESSES), help="Trials at a time.  [default: one a core]")
@with_options(LOAD, SIMULATED, APPLICATION)
@click.option(
    "--out", type=FILE, metavar="FILE.py", help="The file to write.  [default: a new worst_SCENARIO.py, here]"
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
def worst(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Find the smallest story that breaks a pool: SCENARIO's, or one drawn within bounds, shrunk to what it needs.

    It is written as a scenario file. Exit status 0: no story that was tried misses an objective; 4: one does.
    """
    from harness.cli.worst_question import question_of

    question = question_of(given)
    path = _path(given, question)
    found = run_async(_found(question, given))
    command = None if found.smallest is None else _write(found, path, given)
    if given["as_json"]:
        from harness.worst.document import to_json

        echo(json.dumps({**to_json(found), "file": None if command is None else str(path), "replay": command}))
    else:
        _print(found, path, command)
    return 0 if found.smallest is None else EXIT_MISSED


def _path(given: Mapping[str, Any], question: "Question") -> Path:
    """Where the story will be written: refused before anything is played."""
    path: Path = given["out"] or _new(f"worst_{question.plan.scenario.name}"[:59])
    where = f"--out {path}"
    if path.suffix != ".py":
        raise UserError("is no Python file", where=where, allowed="a path that ends in .py")
    check_name(path.stem, where=where)
    if not is_folder(path.parent):
        raise UserError("has no folder to be in", where=where, allowed="a folder that exists")
    if path.exists() and not given["force"]:
        raise UserError("is there already", where=str(path), allowed="another --out, or --force to write over it")
    return path


def _new(name: str) -> Path:
    """A file of this name that is not there yet: of several searches each leaves its own."""
    names = (name, *(f"{name}_{number}" for number in range(2, 1000)))
    return next((path for path in (Path(f"{one}.py") for one in names) if not path.exists()), Path(f"{name}.py"))


async def _found(question: "Question", given: Mapping[str, Any]) -> "Found":
    from harness.search.playing import Playing, program_of
    from harness.worst.search import find

    def say(line: str) -> None:
        echo(line, err=True)

    program = program_of(question.plan, where="worst")
    async with Playing.running(say=say, parallel=given["parallel"], program=program) as playing:
        return await find(question, playing, say)


def _write(found: "Found", path: Path, given: Mapping[str, Any]) -> str:
    """Write the story, and return the command that replays it."""
    from harness.cli.worst_question import replay
    from harness.cli.written import write_file
    from harness.worst.python_text import WIDTH
    from harness.worst.scenario_text import scenario_text
    from harness.worst.words import headline

    assert found.smallest is not None
    case, question = found.smallest.case, found.question
    command = replay(path, case.seed, given)
    about = [
        f"The smallest story found that breaks {question.pool.label}.",
        *textwrap.wrap(headline(found), WIDTH),
        "",
        f"Found by `coldstart worst {question.plan.scenario.name}`. To play it:",
        f"    {command}",
    ]
    text = scenario_text(case, question.pool, question.objectives, name=path.stem, about=about)
    write_file(path, text, force=given["force"], otherwise="another --out, or --force to write over it")
    return command


def _print(found: "Found", path: Path, command: str | None) -> None:
    from harness.worst.words import headline, sentences, story_in_words

    console = output_console()
    console.print(f"\n{found.question.plan.title}: {found.trials} stories in virtual time", style="bold")
    console.print(headline(found), style="bold green" if found.smallest is None else "bold red")
    console.print()
    if found.smallest is not None:
        for sentence in story_in_words(found.smallest.case):
            console.print(Text(f"  {sentence}"))
        console.print()
    for sentence in sentences(found):
        console.print(Text("• ") + Text(sentence))
    console.print(Text(found.question.objectives.patience.rule(), "dim"))
    if command is not None:
        console.print(f"\nStory: {path}", soft_wrap=True)
        console.print(f"To play it: {command}", soft_wrap=True)
