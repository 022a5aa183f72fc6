"""`coldstart sweep`: a whole grid of pools and wakes in virtual time."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import click
from rich.text import Text

from harness.analysis.compare import Line
from harness.analysis.findings import doubts
from harness.analysis.labels import Names
from harness.analysis.lines import capacities_of, unanswered_of
from harness.analysis.sentences import answered_within, met_all, percent, who_succeeds
from harness.cli.console import console as output_console
from harness.cli.decision import print_decision
from harness.cli.options import APPLICATION, KEEPING, SCHEDULED, SEEDS, SIMULATED, STORY, with_options
from harness.cli.questions import overrides_of, read_axes
from harness.cli.ranges import is_range, number_range, whole_range
from harness.cli.table import Column, Row, Sheet
from harness.cli.terminal import echo
from harness.library import load_scenario
from harness.model.errors import StackError, UserError
from harness.model.limits import MAX_TRIALS
from harness.model.plan import PlannedRun
from harness.run import FinishedRun
from harness.stacks.base import RunOptions
from harness.stacks.choose import choose, on_scheduler

MAX_ROWS = 40
"""The most rows of the table; of more only the best are shown."""


@click.command()
@click.argument("scenario")
@click.option("--pool-size", "sizes", default="5:30:5", show_default=True, metavar="RANGE", help="FIRST:LAST:STEP.")
@click.option("--max-overflow", "overflows", default="0:20:5", show_default=True, metavar="RANGE", help="The same.")
@click.option(
    "--wake", "wakes", multiple=True, metavar="RANGE", help="Seconds, 5:10:1; or a profile, as in run; repeatable."
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUES",
    help="A setting of every pool; with values separated by commas another axis of the grid; repeatable.",
)  # fmt: skip
@with_options(SCHEDULED, STORY, SEEDS, SIMULATED, APPLICATION, KEEPING)
def sweep(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Play SCENARIO with a grid of pools, simulated. Every pool_size with every max_overflow meets every wake."""
    from harness.cli.progress import watching
    from harness.run import execute

    chosen = choose("simulated") if given["scheduler"] is None else on_scheduler(given["scheduler"])
    chosen_by_grid = {"pools": list(_pools(given)), "wakes": list(_wakes(given["wakes"])), "settings": ()}
    plan = PlannedRun(scenario=load_scenario(given["scenario"]), overrides=overrides_of({**given, **chosen_by_grid}))
    trials = plan.trials
    options = RunOptions(parallel=given["parallel"])
    with watching(trials) as progress:
        done = execute(
            plan, stack=chosen, options=options, out=given["out"], progress=progress, charts=False,
            argv=sys.argv[1:],
        )  # fmt: skip
        if not given["as_json"] if given["charts"] is None else given["charts"]:
            progress.say("drawing the charts")
            done = draw_sweep(done)
    if given["as_json"]:
        echo(json.dumps(done.to_json()))
    else:
        print_sweep(done)
    if done.unwritten:
        echo(f"coldstart: {done.unwritten}", err=True)
    return done.exit_status


def _pools(given: dict[str, Any]) -> Iterator[str]:
    """Every pool of the grid, written as for `--pool`."""
    sizes = whole_range(given["sizes"], where="--pool-size")
    overflows = whole_range(given["overflows"], where="--max-overflow")
    axes = [[f"{name}={value}" for value in values] for name, values in read_axes(given["settings"]).items()]
    pools = len(sizes) * len(overflows) * math.prod(len(values) for values in axes)
    if pools > MAX_TRIALS:
        raise UserError(f"this grid has {pools} pools", where="sweep", allowed=f"up to {MAX_TRIALS}: larger steps")
    for size, overflow in product(sizes, overflows):
        for settings in product(*axes):
            yield ",".join([f"{size}+{overflow}", *settings])


def _wakes(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if is_range(text):
            yield from (f"{value:g}" for value in number_range(text, where="--wake"))
        else:
            yield text


def draw_sweep(done: FinishedRun) -> FinishedRun:
    """Draw the charts into the run's folder; where that fails, return the run with the error in `unwritten`."""
    from harness.analysis import load
    from harness.analysis.charts import draw_comparison
    from harness.results.disk import writing

    folder = done.folder / "charts"
    try:
        with writing(folder):
            draw_comparison([load(done.folder)], folder)
    except (StackError, UserError) as error:
        return replace(done, unwritten=str(error))
    return done


def print_sweep(done: FinishedRun) -> None:
    """Print a sweep's results on standard output."""
    from harness.analysis import load
    from harness.analysis.compare import compare
    from harness.cli.run_output import print_cut_short

    lines = [line for line in compare([load(done.folder)]).lines if not line.is_control]
    console = output_console()
    trials = len(done.summaries)
    console.print(f"\n{done.plan.title} in virtual time: {trials:,} trials", style="bold")
    print_cut_short(console, done, "sweep")
    if lines:
        by_pool = _by_pool(lines)
        if common := Names(by_pool).note():
            console.print(common)
        console.print(_table(by_pool))
        if len(by_pool) > MAX_ROWS:
            answered = answered_within(line.patience_s for line in lines)
            best = f"the most requests are {answered}" if answered else "the fewest requests fail"
            console.print(Text(f"The {MAX_ROWS} of {len(by_pool)} configurations with which {best}.", "dim"))
        for sentence in sentences(lines):
            console.print(Text("• ") + Text(sentence))
        for sentence in doubts(done.summaries, Names.of(summary.trial for summary in done.summaries)):
            console.print(Text("• ") + Text(sentence))
    console.print(f"\nResults: {done.folder}", soft_wrap=True)
    if (done.folder / "charts").is_dir():
        console.print(f"Charts:  {done.folder / 'charts'}", soft_wrap=True)
    print_decision(console, done.decision)


def sentences(lines: Sequence[Line]) -> Iterator[str]:
    """For each wake, then over all: with which pools requests fail, and which is the smallest without a failure."""
    names = Names.of(lines)
    capacities = capacities_of(lines, names)
    answered = answered_within(line.patience_s for line in lines)
    wakes = list(dict.fromkeys(line.wake for line in lines))
    for wake in wakes:
        of_wake = [line for line in lines if line.wake == wake]
        yield f"{wake}: {who_succeeds(unanswered_of(of_wake, names), capacities, answered=answered)}."
    if len(wakes) > 1:
        comparable = met_all(unanswered_of(lines, names))
        yield f"Over all wakes {who_succeeds(comparable, capacities, answered=answered)}."


def _by_pool(lines: Sequence[Line]) -> dict[str, list[Line]]:
    by_pool: dict[str, list[Line]] = {}
    for line in lines:
        by_pool.setdefault(line.configuration, []).append(line)
    return by_pool


def _lost(lines: Sequence[Line]) -> float:
    """The share of these lines' requests that fail, or are not answered within the patience."""
    return sum(line.unanswered for line in lines) / max(1, sum(line.requests for line in lines))


def _cost(lines: Sequence[Line]) -> tuple[int, float]:
    """A sort key for the cost of a pool: the capacity, then the connection-seconds held."""
    return lines[0].pool.capacity, sum(line.held_s or 0.0 for line in lines)


def _table(by_pool: dict[str, list[Line]]) -> Sheet:
    """The share of the requests that fail: a row for each pool, a column for each wake.

    Where the story has a patience, it is the share of those that are answered within it.
    """
    answered = answered_within(line.patience_s for lines in by_pool.values() for line in lines)
    names = Names.of(line for lines in by_pool.values() for line in lines)
    wakes = list(dict.fromkeys(line.wake for lines in by_pool.values() for line in lines))
    columns = [Column(wake.replace(", ", ",\n")) for wake in wakes]
    shown = set(sorted(by_pool, key=lambda name: (_lost(by_pool[name]), *_cost(by_pool[name])))[:MAX_ROWS])
    rows = []
    for name, lines in by_pool.items():
        if name not in shown:
            continue
        shares = {line.wake: line.unanswered / max(1, line.requests) for line in lines}
        held_s = sum(line.held_s or 0.0 for line in lines) / len(lines)
        rows.append(
            Row(names[name], [*(_cell(shares.get(wake), succeeds=bool(answered)) for wake in wakes), f"{held_s:.0f}"])
        )
    what = f"{answered}, with".replace(" within", "\nwithin") if answered else "fails, with"
    return Sheet(what, [*columns, Column("connection\nseconds")], rows)


def _cell(share: float | None, *, succeeds: bool) -> Text:
    """The share that fails or, with `succeeds`, the rest of it."""
    if share is None:
        return Text("–", "dim")
    if share == 0:
        return Text("100%" if succeeds else "0", "green")
    return Text(percent(1 - share) if succeeds else f"{share:.1%}", "bold red" if share >= 0.05 else "red")
