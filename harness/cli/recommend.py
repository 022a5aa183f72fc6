"""`coldstart recommend`: what to set, how far it holds, and why nothing cheaper will do."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from harness.cli.console import console as output_console
from harness.cli.options import APPLICATION, FILE, FOLDER, OBJECTIVES, SIMULATED, STORY, with_options
from harness.cli.terminal import echo
from harness.model.exit_status import EXIT_MISSED, EXIT_NOT_REPRODUCED
from harness.model.limits import LARGEST_SEED, MAX_CONNECTIONS, MAX_INSTANCES, MAX_PROCESSES, MAX_TRIALS
from harness.processes.cancelling import run_async

if TYPE_CHECKING:
    from harness.application.env_file import EnvFile
    from harness.recommend.answer import Answer
    from harness.recommend.frontier import Point
    from harness.recommend.question import Question

SEEDS = 59
"""With so many and no miss, under 5 % of all others miss, with 95 % confidence."""
CONFIRMING = ("embedded", "compose")


@click.command()
@click.argument("scenario")
@with_options(OBJECTIVES)
@click.option(
    "--wake",
    metavar="WAKE",
    help="Seconds, 5:10 for any wake between, a profile, or a file of measured ones.  [default: the scenario's]",
)
@click.option(
    "--quantile",
    "share",
    default="99%",
    show_default=True,
    metavar="SHARE",
    help="The share of the wakes that it must survive.",
)
@click.option(
    "--pool", metavar="POOL", help="What is set today: 10+5,pool_timeout=30; or env.  [default: the scenario's]"
)
@click.option("--env-file", type=FILE, help="What is set today, as DATABASE_ lines; the answer is a diff of it.")
@click.option("--instances", type=click.IntRange(1, MAX_INSTANCES), help="Of the service, each with its own pool.")
@click.option("--max-connections", type=click.IntRange(1, MAX_CONNECTIONS), help="Of the database, for all of them.")
@click.option(
    "--reserved",
    type=click.IntRange(0, MAX_CONNECTIONS),
    default=3,
    show_default=True,
    help="Of these, the superuser's own.",
)
@click.option("--pool-size", "sizes", metavar="RANGE", help="Sizes to try, FIRST:LAST:STEP.  [default: 1 to 50]")
@click.option("--max-overflow", "overflows", default="0", show_default=True, metavar="RANGE", help="The same.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUES",
    help="A setting of every pool; values separated by commas are all tried; repeatable.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, MAX_TRIALS),
    default=SEEDS,
    show_default=True,
    help="Arrival sequences that each candidate meets.",
)
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), default=1, show_default=True, help="The first of them.")
@click.option("--parallel", type=click.IntRange(1, MAX_PROCESSES), help="Trials at a time.  [default: one a core]")
@with_options(STORY, SIMULATED, APPLICATION)
@click.option("--confirm", type=click.Choice(CONFIRMING), help="Then play it and the next cheaper one in real time.")
@click.option("--charts/--no-charts", default=None, help="Draw the frontier.  [default: unless --json]")
@click.option("--out", type=FOLDER, help="Where answers are kept.  [default: results/recommendations]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
def recommend(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Say what to set for SCENARIO. The cheapest configuration that meets the objectives, and its margin."""
    from harness.cli.questions import env_file_of
    from harness.cli.recommend_question import question_of
    from harness.recommend.writing import DEFAULT_FOLDER, new_folder, write

    env_file = env_file_of(given)
    question = question_of(given, env_file)
    charts = not given["as_json"] if given["charts"] is None else given["charts"]
    folder = new_folder(given["out"] or DEFAULT_FOLDER, question.plan.scenario.name)
    found, points = run_async(_answer(question, given, charts=charts))
    if found.confirmed_at_s is not None:
        found = _confirmed(found, given["confirm"], folder)
    write(found, points, folder, argv=["coldstart", *sys.argv[1:]], charts=charts)
    if given["as_json"]:
        echo(json.dumps({**found.to_json(), "folder": str(folder)}))
    else:
        _print(found, folder, env_file)
    if found.found is None:
        return EXIT_MISSED
    return EXIT_NOT_REPRODUCED if any(not one.held for one in found.confirmed) else 0


async def _answer(question: "Question", given: Mapping[str, Any], *, charts: bool) -> "tuple[Answer, list[Point]]":
    from harness.recommend.asking import answer
    from harness.recommend.confirming import wake_to_confirm
    from harness.recommend.frontier import frontier
    from harness.search.playing import Playing, program_of

    def say(line: str) -> None:
        echo(line, err=True)

    program = program_of(question.plan, where="recommend")
    points: list[Point] = []
    async with Playing.running(say=say, parallel=given["parallel"], program=program) as playing:
        found = await answer(question, playing, say)
        if found.found is not None and found.margin is not None and charts:
            say("the frontier: other bursts, other service times")
            points = await frontier(question, found.found, found.margin.survives_s, playing)
        if found.found is not None and given["confirm"] is not None:
            found = replace(found, confirmed_at_s=await wake_to_confirm(found, playing))
        return replace(found, trials=playing.trials), points


def _confirmed(found: "Answer", stack: str, folder: Path) -> "Answer":
    from harness.cli.progress import watching
    from harness.recommend.confirming import confirmed, plan_to_confirm
    from harness.run import execute
    from harness.stacks.base import RunOptions

    assert found.confirmed_at_s is not None
    plan = plan_to_confirm(found, found.confirmed_at_s)
    with watching(plan.trials) as progress:
        done = execute(
            plan, stack=stack, options=RunOptions(parallel=1), out=folder, progress=progress, charts=False,
            argv=sys.argv[1:],
        )  # fmt: skip
    return replace(found, confirmed=confirmed(found, done.summaries), stack=stack)


def _print(found: "Answer", folder: Path, env_file: "EnvFile | None") -> None:
    from harness.recommend.paste import call, diff, environment
    from harness.recommend.words import headline, sentences

    console = output_console()
    console.print(f"\n{found.question.plan.title}: {found.trials} trials in virtual time", style="bold")
    console.print(headline(found), style="bold green" if found.found is not None else "bold red")
    console.print()
    if found.found is not None:
        lines = environment(found.found, found.question.application)
        if env_file is None:
            pasted = "\n".join(f"{name}={value}" for name, value in lines.items())
        else:
            pasted = diff(str(env_file.path), env_file.text, lines) or f"{env_file.path} sets it already."
        console.print(Text("\n\n".join(filter(None, [pasted, call(found.found)])) + "\n"))
    for sentence in sentences(found):
        console.print(Text("• ") + Text(sentence))
    console.print(Text(found.question.objectives.patience.rule(), "dim"))
    console.print(f"\nResults: {folder}", soft_wrap=True)
