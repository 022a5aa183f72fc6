"""What is printed in columns and colours: rich, without its markup."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.model.visible import visible


class _Console(Console):
    """Everything that is printed comes through `render`, however it is put together; only rich's own codes stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(*, stderr: bool = False) -> Console:
    """A console that prints text literally: brackets and colons are no markup, escape sequences are visible."""
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
