"""A table for a terminal of any width: in columns if they fit, else each row as a list of named values.

Nothing is cut off: names of rows wrap, columns of numbers do not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

NAME_WIDTH = 13
"""The column of names is never narrower than this, or than its longest word, unless all names are shorter."""
TEXT_WIDTH = 12
"""The least width of a column of words that may wrap, in the same way."""
INDENT = 2


@dataclass(frozen=True, slots=True)
class Heading:
    """A line over the rows that follow."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row's name, and a cell for each column; a cell may have a second line, such as an interval."""

    name: str
    cells: Sequence[str | Text]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers; with `wraps`, a column of words. Its name may have several lines."""

    name: str
    wraps: bool = False


Part: TypeAlias = Heading | Row


class Sheet:
    """Rows under headings, printed to fit the terminal's width."""

    def __init__(self, name: str, columns: Sequence[Column], parts: Iterable[Part]) -> None:
        self._name = name
        self._columns = list(columns)
        self._parts = list(parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._table() if self._least_width() <= options.max_width else self._records(options.max_width)

    def _rows(self) -> list[Row]:
        return [part for part in self._parts if isinstance(part, Row)]

    def _least_width(self) -> int:
        names = [self._name, *(row.name for row in self._rows())]
        longest, word = _longest(names), _longest([name for text in names for name in text.split()])
        width = INDENT + min(longest, max(word, NAME_WIDTH))
        for number, column in enumerate(self._columns):
            cells = [column.name, *(str(row.cells[number]) for row in self._rows())]
            least = _longest(cells)
            if column.wraps:
                least = min(least, max(_longest([word for cell in cells for word in cell.split()]), TEXT_WIDTH))
            width += 1 + least
        return width

    def _table(self) -> Table:
        named = any([self._name, *(column.name for column in self._columns)])
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=named)
        table.add_column(self._name, overflow="fold")
        for column in self._columns:
            if column.wraps:
                table.add_column(column.name, overflow="fold")
            else:
                table.add_column(column.name, justify="right", no_wrap=True)
        for part in self._parts:
            match part:
                case Heading(text):
                    table.add_row(Text(text, "bold"))
                case Row(name, cells):
                    table.add_row(Padding(Text(name), (0, 0, 0, INDENT)), *cells)
                case _:
                    assert_never(part)
        return table

    def _records(self, width: int) -> Table:
        """The table in one column: each row's name, and below it the row's values, wrapped between them."""
        table = Table(box=None, pad_edge=False, show_header=False, padding=0)
        table.add_column(overflow="fold")
        for part in self._parts:
            match part:
                case Heading(text):
                    table.add_row(Text(text, "bold"))
                case Row(name, cells):
                    table.add_row(Padding(Text(name, "bold"), (0, 0, 0, INDENT)))
                    table.add_row(Padding(self._in_words(cells, width - 2 * INDENT), (0, 0, 0, 2 * INDENT)))
                case _:
                    assert_never(part)
        return table

    def _in_words(self, cells: Sequence[str | Text], width: int) -> Text:
        """The names of the columns with their values; lines are broken only between two values."""
        lines = [Text()]
        for column, cell in zip(self._columns, cells, strict=True):
            text = cell if isinstance(cell, Text) else Text(cell)
            if text.plain in ("", "–"):
                continue
            value, newline, interval = text.plain.partition("\n")
            name = column.name.replace("\n", " ")
            words = Text(f"{name} {value}{f' ({interval})' if newline else ''}".lstrip(), text.style)
            if not lines[-1]:
                lines[-1] = words
            elif lines[-1].cell_len + 2 + words.cell_len < width:
                lines[-1] = lines[-1] + Text(", ") + words
            else:
                lines[-1] = lines[-1] + Text(",")
                lines.append(words)
        return Text("\n").join(lines)


def _longest(texts: Sequence[str]) -> int:
    return max((Text(line).cell_len for text in texts for line in text.split("\n")), default=0)
