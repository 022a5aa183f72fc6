"""`coldstart diff`: the first request and the first event where two trials part."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.text import Text

from harness.cli.console import console as output_console
from harness.cli.table import Column, Row, Sheet
from harness.cli.terminal import echo
from harness.model.errors import UserError
from harness.model.exit_status import EXIT_NOT_REPRODUCED
from harness.model.limits import LARGEST_SEED, check_number

if TYPE_CHECKING:
    from harness.analysis.parting import Parting

TOLERANCE_S = 0.05
"""Real time's noise on a machine that is not overloaded; in virtual time there is none."""
MAX_CONDITIONS = 12


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--pool", "pools", multiple=True, metavar="POOL", help="Whose trials: once for both, or twice: A's and B's."
)
@click.option("--wake", "wakes", multiple=True, metavar="WAKE", help="The same of wakes: 12, or awake.")
@click.option(
    "--seed", "seeds", multiple=True, type=click.IntRange(0, LARGEST_SEED), metavar="N", help="The same of seeds."
)
@click.option(
    "--tolerance", "tolerance_s", type=float, default=TOLERANCE_S, show_default=True, metavar="SECONDS",
    help="Smaller differences are none; 0: exact, for virtual time.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else.")
def diff(
    runs: Sequence[str],
    pools: Sequence[str],
    wakes: Sequence[str],
    seeds: Sequence[int],
    tolerance_s: float,
    *,
    as_json: bool,
) -> int:
    """Find where two trials part: two RUNS, or two pools of one. RUNS are ids, paths, or newest.

    Trials with the same pool, wake and seed are laid side by side. Exit status, as diff's: 0 all are alike, 1 some
    differ.
    """
    from harness.analysis import load
    from harness.analysis.pairing import pairs
    from harness.analysis.parting import part
    from harness.analysis.parting_words import to_json

    if len(runs) > 2:
        raise UserError(f"{len(runs)} runs are too many", where="diff", allowed="two, or one with --pool twice")
    check_number("tolerance", tolerance_s, where="--tolerance")
    first = load(runs[0])
    # The same run twice is the run's trials beside themselves.
    second = load(runs[1]) if len(runs) > 1 else None
    partings = [
        part(pair, tolerance_s=tolerance_s) for pair in pairs(first, second, pools=pools, wakes=wakes, seeds=seeds)
    ]
    if as_json:
        alike = all(parting.is_alike for parting in partings)
        document = {"alike": alike, "tolerance_s": tolerance_s, "pairs": [to_json(parting) for parting in partings]}
        echo(json.dumps(document, allow_nan=False))
    else:
        _print(partings, tolerance_s)
    return 0 if all(parting.is_alike for parting in partings) else EXIT_NOT_REPRODUCED


def _print(partings: "Sequence[Parting]", tolerance_s: float) -> None:
    from harness.analysis.parting_words import conditions, headline, sentences, shown, table

    console = output_console()
    differing = [parting for parting in partings if not parting.is_alike]
    # What a person asks first: who got another answer, then who waited for another time.
    parting = min(differing or partings, key=lambda one: (one.outcome is None, one.latency is None))
    console.print()
    for name, side in (("A", parting.pair.a), ("B", parting.pair.b)):
        console.print(Text(f"{name}: {side}", "bold"))
        console.print(Text(f"   {side.run.folder.name} on {side.run.manifest.stack}", "dim"), soft_wrap=True)
    different = conditions(parting)
    for line in different[:MAX_CONDITIONS]:
        console.print(Text(f"   {line}", "yellow"))
    if len(different) > MAX_CONDITIONS:
        console.print(Text(f"   and {len(different) - MAX_CONDITIONS} more (--json has them)", "yellow"))
    console.print()
    console.print(headline(parting, tolerance_s=tolerance_s), style="bold green" if parting.is_alike else "bold red")
    for sentence in sentences(parting):
        console.print(Text("• ") + Text(sentence))
    request = shown(parting)
    if request is not None:
        console.print()
        rows = [Row(name, [a, b]) for name, a, b in table(request)]
        heading = f"request {request.number}"
        console.print(Sheet(heading, [Column("in A", wraps=True), Column("in B", wraps=True)], rows))
    if len(partings) > 1:
        console.print()
        console.print(_of_all(partings, differing, parting), style="dim")


def _of_all(partings: "Sequence[Parting]", differing: "Sequence[Parting]", shown: "Parting") -> str:
    """How many pairs there are, and which others differ."""
    pairs = f"{len(partings)} pairs of trials"
    if not differing:
        return f"All {pairs} are alike; this is the first."
    if len(differing) == 1:
        return f"1 of {pairs} differs: this one."
    first = "the first in which an outcome does" if shown.outcome is not None else "the first"
    others = "--pool, --wake and --seed choose another; --json has all."
    return f"{len(differing)} of {pairs} differ; this is {first}. {others}"
