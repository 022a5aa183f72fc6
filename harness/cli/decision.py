"""How a terminal shows what to set: last, where the eye is, so that it can be pasted."""

import shlex

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.analysis.decision import Decision
from harness.cli.table import INDENT

HEADING = "What to set"
CONTINUED = " \\"


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
        for line in in_lines(command, console.width):
            console.print(Text(line, "bold"), soft_wrap=True)


def in_lines(command: str, width: int) -> list[str]:
    """A command on lines of this width, which a shell reads as one: all but the last end with a backslash."""
    words = [shlex.quote(word) for word in shlex.split(command)]
    lines = [f"{' ' * INDENT}{words[0]}"]
    for word in words[1:]:
        # Room for the backslash, which the last line does not need.
        if len(lines[-1]) + 1 + len(word) <= width - len(CONTINUED):
            lines[-1] += f" {word}"
        else:
            lines[-1] += CONTINUED
            lines.append(f"{' ' * 2 * INDENT}{word}")
    return lines
