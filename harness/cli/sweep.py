"""`coldstart sweep`: a whole grid of pools and wakes in virtual time."""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.compare import Line
from harness.cli.options import KEEPING, SEEDS, SIMULATED, STORY, with_options
from harness.cli.questions import overrides_of
from harness.cli.ranges import is_range, number_range, whole_range
from harness.library import load_scenario
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.run import FinishedRun
from harness.stacks.base import RunOptions
from harness.stacks.choose import choose

MOST_TRIALS = 10_000
MOST_ROWS = 40
"""Of a larger table only the best rows are shown."""


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
@with_options(STORY, SEEDS, SIMULATED, KEEPING)
def sweep(**given: Any) -> int:  # noqa: ANN401 - click's options, each with its type above
    """Play SCENARIO with a grid of pools, simulated. Every pool_size with every max_overflow meets every wake."""
    from harness.cli.progress import watching
    from harness.run import execute

    chosen = choose("simulated")
    chosen_by_grid = {"pools": list(_pools(given)), "wakes": list(_wakes(given["wakes"])), "settings": ()}
    plan = PlannedRun(scenario=load_scenario(given["scenario"]), overrides=overrides_of({**given, **chosen_by_grid}))
    trials = plan.trials
    if len(trials) > MOST_TRIALS:
        allowed = f"up to {MOST_TRIALS}: larger steps, or fewer seeds"
        raise UserError(f"this grid has {len(trials)} trials", where="sweep", allowed=allowed)
    options = RunOptions(parallel=given["parallel"])
    with watching(trials) as progress:
        done = execute(
            plan, stack=chosen, options=options, out=given["out"], progress=progress, charts=False,
            argv=sys.argv[1:],
        )  # fmt: skip
        if not given["as_json"] if given["charts"] is None else given["charts"]:
            progress.say("drawing the charts")
            _draw(done)
    if given["as_json"]:
        click.echo(json.dumps(done.to_json()))
    else:
        _print(done)
    return done.exit_status


def _pools(given: dict[str, Any]) -> Iterator[str]:
    """Every pool of the grid as `--pool` has it."""
    sizes = whole_range(given["sizes"], where="--pool-size")
    overflows = whole_range(given["overflows"], where="--max-overflow")
    axes = [[f"{name}={value}" for value in values.split(",")] for name, values in map(_setting, given["settings"])]
    for size, overflow in product(sizes, overflows):
        for settings in product(*axes):
            yield ",".join([f"{size}+{overflow}", *settings])


def _setting(text: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"{text!r} is not a setting", where="--set", allowed="NAME=VALUE, or NAME=VALUE,VALUE,…")
    return name.strip(), values.strip()


def _wakes(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if is_range(text):
            yield from (f"{value:g}" for value in number_range(text, where="--wake"))
        else:
            yield text


def _draw(done: FinishedRun) -> None:
    from harness.analysis import load
    from harness.analysis.charts import draw_comparison

    draw_comparison([load(done.folder)], done.folder / "charts")


def _print(done: FinishedRun) -> None:
    from harness.analysis import load
    from harness.analysis.compare import compare

    lines = [line for line in compare([load(done.folder)]).lines if not line.is_control]
    console = Console(highlight=False)
    trials = len(done.summaries)
    console.print(f"\n{done.plan.scenario.name} in virtual time: {trials:,} trials", style="bold")
    if done.status != "complete":
        console.print(f"The sweep was {done.status}: what follows is what was played until then.", style="yellow")
    if lines:
        by_pool = _by_pool(lines)
        console.print(_table(by_pool))
        if len(by_pool) > MOST_ROWS:
            console.print(Text(f"The {MOST_ROWS} of {len(by_pool)} pools that lose least.", "dim"))
        for sentence in sentences(lines):
            console.print(Text("• ") + Text(sentence))
    console.print(f"\nResults: {done.folder}", soft_wrap=True)
    if (done.folder / "charts").is_dir():
        console.print(f"Charts:  {done.folder / 'charts'}", soft_wrap=True)


def sentences(lines: Sequence[Line]) -> Iterator[str]:
    """For each wake, and for all of them, the smallest pool that loses nothing, or the one that loses least."""
    wake_of = _wake_names(lines)
    for wake in dict.fromkeys(wake_of.values()):
        met = [line for line in lines if wake_of[line.wake] == wake]
        best = min(met, key=lambda line: (line.failures.value, *_cost([line])))
        if best.failures.value == 0:
            safe = sum(1 for line in met if line.failures.value == 0)
            which = "all of them" if safe == len(met) else f"{safe} of {len(met)} pools"
            yield f"wake {wake}: {which} lose nothing; the smallest is {best.configuration}."
        else:
            yield f"wake {wake}: every pool loses requests; {best.configuration} the fewest, {best.failures.value:.1%}."
    if len(wake_of) < 2:
        return
    by_pool = _by_pool(lines)
    best_pool = min(by_pool, key=lambda name: (_lost(by_pool[name]), *_cost(by_pool[name])))
    share = _lost(by_pool[best_pool])
    if share == 0:
        yield f"Over all wakes {best_pool} is the smallest that loses nothing."
    else:
        yield f"Over all wakes no pool loses nothing; {best_pool} loses the fewest, {share:.1%}."


def _wake_names(lines: Sequence[Line]) -> dict[str, str]:
    """Each wake's name in a table: its latency, where that tells it from the others."""
    wakes = {line.wake: line.latency for line in lines}
    return wakes if len(set(wakes.values())) == len(wakes) else {wake: wake for wake in wakes}


def _by_pool(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.configuration, []).append(line)
    return found


def _lost(some: Sequence[Line]) -> float:
    """The share of all requests of these lines that fail."""
    return sum(line.failures.value * line.requests for line in some) / max(1, sum(line.requests for line in some))


def _cost(some: Sequence[Line]) -> tuple[int, float]:
    """Smaller is cheaper: the capacity, then what is held."""
    return some[0].pool.capacity, sum(line.held_s for line in some)


def _table(by_pool: dict[str, list[Line]]) -> Table:
    """A row a pool, a column a wake: the share of the requests that fail."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    wake_of = _wake_names([line for some in by_pool.values() for line in some])
    table.add_column("fails, with", overflow="fold")
    for wake in (*wake_of.values(), "connection\nseconds"):
        table.add_column(wake.replace(", ", ",\n"), justify="right", no_wrap=True)
    shown = set(sorted(by_pool, key=lambda name: (_lost(by_pool[name]), *_cost(by_pool[name])))[:MOST_ROWS])
    for name, some in by_pool.items():
        if name not in shown:
            continue
        shares = {line.wake: line.failures.value for line in some}
        cells = [_cell(shares.get(wake)) for wake in wake_of]
        table.add_row(f"  {name}", *cells, f"{sum(line.held_s for line in some) / len(some):.0f}")
    return table


def _cell(share: float | None) -> Text:
    if share is None:
        return Text("–", "dim")
    return Text("0", "green") if share == 0 else Text(f"{share:.1%}", "bold red" if share >= 0.05 else "red")
