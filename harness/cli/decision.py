"""How a terminal shows what to set: last, where the eye is, its lines whole so that they can be pasted."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.analysis.decision import Decision
from harness.cli.table import INDENT

HEADING = "What to set"


def print_decision(console: Console, decision: Decision, *, of: str = "") -> None:
    """Print a decision; `of` is the run that it is about, where there are several."""
    console.print()
    console.print(f"{HEADING}{f' ({of})' if of else ''}", style="bold", soft_wrap=True)
    first, *others = decision.sentences
    console.print(Text(first))
    for line in decision.settings:
        console.print(Text(f"{' ' * INDENT}{line}", "bold green"), soft_wrap=True)
    for sentence in others:
        console.print(Padding(Text(f"• {sentence}"), 0))
    if decision.commands:
        console.print(Text(decision.asked))
    for command in decision.commands:
        console.print(Text(f"{' ' * INDENT}{command}", "bold"), soft_wrap=True)
