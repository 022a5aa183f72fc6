"""`coldstart recommend`: what to set, how far it holds, and why nothing cheaper will do."""

import asyncio
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from harness.cli.options import APPLICATION, FILE, FOLDER, SIMULATED, STORY, with_options
from harness.cli.questions import overrides_of, read_pool
from harness.cli.ranges import is_range, number_range, whole_range
from harness.cli.terminal import console as output_console
from harness.cli.terminal import echo
from harness.library import load_scenario
from harness.model.distribution import Empirical, Uniform
from harness.model.errors import UserError
from harness.model.limits import LARGEST_SEED, MAX_CONNECTIONS, MAX_INSTANCES, MAX_PROCESSES, MAX_TRIALS, check_number
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.wake import WakeChoice, read_wake

SEEDS = 59
"""With so many and no miss, under 5 % of all others miss, with 95 % confidence."""
EXIT_MISSED = 4
CONFIRMING = ("embedded", "compose")


@click.command()
@click.argument("scenario")
@click.option(
    "--slo",
    "objectives",
    multiple=True,
    metavar="OBJECTIVE",
    help="What it must meet: failed<1%, p(95)<12s, answered_within(10s)>99%; repeatable.  [default: failed<1%]",
)
@click.option(
    "--patience",
    "patience_s",
    type=float,
    metavar="SECONDS",
    help="A later answer is a failed one.  [default: the story's, else the client's timeout up to 30]",
)
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
    from harness.recommend.writing import DEFAULT_FOLDER, new_folder, write

    env_file = _EnvFile.read(given["env_file"]) if given["env_file"] is not None else None
    question = _question(given, env_file)
    charts = not given["as_json"] if given["charts"] is None else given["charts"]
    folder = new_folder(given["out"] or DEFAULT_FOLDER, question.plan.scenario.name)
    found, points = asyncio.run(_answer(question, given, charts=charts))
    if given["confirm"] is not None and found.found is not None:
        found = _confirmed(found, given["confirm"], folder)
    write(found, points, folder, argv=["coldstart", *map(shlex.quote, sys.argv[1:])], charts=charts)
    if given["as_json"]:
        echo(json.dumps({**found.to_json(), "folder": str(folder)}))
    else:
        _print(found, folder, env_file)
    if found.found is None:
        return EXIT_MISSED
    return 1 if any(not one.held for one in found.confirmed) else 0


def _question(given: Mapping[str, Any], env_file: "_EnvFile | None") -> Any:  # noqa: ANN401 - a Question
    from harness.model.objective import read_objectives
    from harness.model.patience import Patience
    from harness.recommend.confirming import check_confirmable
    from harness.recommend.question import (
        Question,
        arrivals_depend_on_the_seed,
        check_times,
        least_capacity,
        the_wake,
    )
    from harness.recommend.space import SIZES, Budget, Space
    from harness.stacks.choose import choose

    scenario, usable = _for_instances(load_scenario(given["scenario"]), given)
    wakes = () if given["wake"] is None else (_wake(given["wake"]),)
    overrides = replace(
        overrides_of({**given, "pools": (), "settings": (), "wakes": (), "control": True, "repeat": 1}), wakes=wakes
    )
    plan = PlannedRun(scenario=scenario, overrides=overrides)
    if given["confirm"] is not None:
        check_confirmable(plan)
    check_times(plan)
    wake = the_wake(plan)
    today = _today(given, env_file, plan)
    first = next(iter(plan.stories.values()))
    patience = Patience.chosen(
        given["patience_s"], client_timeout_s=first.client_timeout_s, of_the_story_s=first.patience_s
    )
    listeners = first.instances if first.listener is not None else 0
    budget = None
    if usable is not None:
        budget = Budget(
            max_connections=given["max_connections"] or usable, reserved=given["reserved"] if given["max_connections"] else 0,
            instances=first.instances, listeners=listeners,
        )  # fmt: skip
    axes = _axes(given["settings"])
    base = today.with_settings({}) if today.pool_timeout_s is None else replace(today, pool_timeout_s=None)
    space = Space.of(
        base,
        sizes=SIZES if given["sizes"] is None else whole_range(given["sizes"], where="--pool-size"),
        overflows=whole_range(given["overflows"], where="--max-overflow"),
        axes=axes,
        longest_s=patience.seconds,
        most=None if budget is None else budget.capacity,
        least=max(1, least_capacity(plan)),
    )
    seeds = tuple(range(given["seed"], given["seed"] + given["repeat"]))
    if not arrivals_depend_on_the_seed(plan, today, wake, given["seed"]):
        seeds = seeds[:1]
    question = Question(
        plan=plan, wake=wake, objectives=read_objectives(given["objectives"], patience=patience), space=space,
        share=_share(given["share"]), seeds=seeds, budget=budget, today=today,
    )  # fmt: skip
    # What the simulated stack refuses of a story is refused here too.
    chosen, _ = choose("simulated")
    from harness.stacks.base import RunOptions

    smallest = next(iter(space.candidates(space.sizes[0])), None)
    if smallest is None:
        raise UserError("no candidate can have these settings", where="--set", allowed="what the driver can do")
    chosen.check(replace(plan, overrides=replace(plan.overrides, pools=(smallest,))), RunOptions())
    return question


def _for_instances(scenario: Scenario, given: Mapping[str, Any]) -> tuple[Scenario, int | None]:
    """The scenario with so many instances and connections, and how many connections are usable; None: no limit."""
    changes: dict[str, Any] = {}
    if given["instances"] is not None:
        changes["instances"] = given["instances"]
    if given["max_connections"] is not None:
        usable = given["max_connections"] - given["reserved"]
        if usable < 1:
            raise UserError(
                f"of {given['max_connections']} connections {given['reserved']} are reserved: none is left",
                where="--max-connections", allowed="more, or a smaller --reserved",
            )  # fmt: skip
        changes["max_connections"] = usable
    if varied := sorted({name for variant in scenario.variants for name in variant.changes if name in changes}):
        raise UserError(
            f"the scenario's variants set {varied[0]} themselves", where="recommend", allowed="a scenario without"
        )
    scenario = replace(scenario, **changes)
    return scenario, scenario.max_connections


def _wake(text: str) -> WakeChoice:
    """A wake of `run`, or a range: `5:10` is any wake between, `5:10:1` and `5,8` each of their values."""
    if not is_range(text) or not (":" in text or "," in text):
        return read_wake(text, where="--wake")
    values = number_range(text, where="--wake")
    first, last = min(values), max(values)
    for seconds in (first, last):
        check_number("wake latency", seconds, where="--wake")
    is_uniform = text.count(":") == 1 and first < last
    return WakeChoice(text=text, latency=Uniform(first, last) if is_uniform else Empirical(tuple(values)))


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0.5 <= value <= 1:
        raise UserError(f"{text!r} is not a share of the wakes", where="--quantile", allowed="50% to 100%")
    return value


def _axes(texts: Sequence[str]) -> dict[str, Sequence[str]]:
    axes: dict[str, Sequence[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UserError(f"{text!r} is not a setting", where="--set", allowed="NAME=VALUE, or NAME=VALUE,VALUE,…")
        if name in ("pool_size", "max_overflow"):
            raise UserError(f"{name} has an option of its own", where="--set", allowed=f"--{name.replace('_', '-')}")
        axes[name] = [value.strip() for value in values.split(",")]
        for value in axes[name]:
            # A wrong name or value is refused before anything is played.
            PoolConfiguration().with_settings({name: value} if name not in ("driver", "pool_library") else {})
    return axes


def _today(given: Mapping[str, Any], env_file: "_EnvFile | None", plan: PlannedRun) -> PoolConfiguration:
    """What is set today: the env file's, the given pool, or the scenario's first."""
    if env_file is not None:
        if given["pool"] is not None:
            raise UserError("says what is set today, as --pool does", where="--env-file", allowed="one of the two")
        return PoolConfiguration.from_environment(env_file.values)
    return plan.pools[0] if given["pool"] is None else read_pool(given["pool"])


class _EnvFile:
    """An env file: its text, and what it sets."""

    def __init__(self, path: Path, text: str) -> None:
        from harness.recommend.paste import values_of

        self.path = path
        self.text = text
        self.values = values_of(text)

    @classmethod
    def read(cls, path: Path) -> "_EnvFile":
        try:
            return cls(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UserError(f"can't be read: {what}", where=str(path), allowed="a file of NAME=VALUE lines") from None


async def _answer(question: Any, given: Mapping[str, Any], *, charts: bool) -> Any:  # noqa: ANN401 - of one answer
    from harness.recommend.asking import answer
    from harness.recommend.frontier import frontier
    from harness.search.playing import Playing, program_of

    def say(line: str) -> None:
        echo(line, err=True)

    program = program_of(question.plan, where="recommend")
    logs = Path(tempfile.mkdtemp(prefix="coldstart-recommend-"))
    try:
        async with Playing.running(logs=logs, say=say, parallel=given["parallel"], program=program) as playing:
            found = await answer(question, playing, say)
            points = []
            if found.found is not None and charts:
                say("the frontier: other bursts, other service times")
                points = await frontier(question, found.found, found.margin.survives_s, playing)
            return replace(found, trials=playing.trials), points
    finally:
        # It stays where a process died and left its log there.
        with suppress(OSError):
            os.rmdir(logs)


def _confirmed(found: Any, stack: str, folder: Path) -> Any:  # noqa: ANN401 - an Answer
    from harness.cli.progress import watching
    from harness.recommend.confirming import confirmed, plan_to_confirm
    from harness.run import execute
    from harness.stacks.base import RunOptions

    plan = plan_to_confirm(found)
    with watching(plan.trials) as progress:
        done = execute(
            plan, stack=stack, options=RunOptions(parallel=1), out=folder, progress=progress, charts=False,
            argv=sys.argv[1:],
        )  # fmt: skip
    return replace(found, confirmed=confirmed(found, done.summaries), stack=stack)


def _print(found: Any, folder: Path, env_file: "_EnvFile | None") -> None:  # noqa: ANN401 - an Answer
    from harness.recommend.paste import call, diff, environment
    from harness.recommend.words import headline, sentences

    console = output_console()
    console.print(f"\n{found.question.plan.title}: {found.trials} trials in virtual time", style="bold")
    console.print(headline(found), style="bold green" if found.found is not None else "bold red")
    if found.found is not None:
        application = found.question.plan.overrides.application
        lines = environment(found.found, () if application is None else application.variables)
        console.print()
        if env_file is not None:
            console.print(Text(diff(str(env_file.path), env_file.text, lines) or f"{env_file.path} sets it already."))
        else:
            console.print(Text("\n".join(f"{name}={value}" for name, value in lines.items())))
        console.print()
        console.print(Text(call(found.found)))
    console.print()
    for sentence in sentences(found):
        console.print(Text("• ") + Text(sentence))
    console.print(Text(found.question.objectives.patience.rule(), "dim"))
    console.print(f"\nResults: {folder}", soft_wrap=True)
