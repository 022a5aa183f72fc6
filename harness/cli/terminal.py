"""Standard output and standard error, whatever their encoding, and also when they are closed or full."""

import codecs
import errno
import io
import os
import sys
from typing import TextIO

import click

from harness.model.visible import in_one_line, visible

SIGNS = {
    "–": "-", "…": "...", "•": "*", "×": "x", "≥": ">=", "≤": "<=", "−": "-", "→": "->", "∅": "-",
    "’": "'", "‘": "'", "“": '"', "”": '"', "µ": "u", "μ": "u", "±": "+-", "·": "*", "°": " degrees",
}  # fmt: skip
"""Replacements for the characters of our output that an encoding may lack; any other becomes `?`."""
FALLBACK = "coldstart"
GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EIO})
"""Nobody reads on; EIO is a terminal that was closed."""


LONGEST_LINE = 1_000
"""Characters of an error's line: a path or a server's message may have thousands."""


def one_line(text: str) -> str:
    """The text as one printable line: what is too long for one is left out in its middle."""
    line = in_one_line(text)
    if len(line) <= LONGEST_LINE:
        return line
    # What is allowed stands at the end.
    return f"{line[: LONGEST_LINE * 2 // 3]} … {line[-LONGEST_LINE // 4 :]}"


def echo(text: object, *, err: bool = False) -> None:
    """Print a line, literally. The stream is passed on because click by itself would write UTF-8 to an ASCII stream."""
    click.echo(visible(str(text)), file=sys.stderr if err else sys.stdout)


def prepare_streams() -> None:
    """Make printing safe on standard output and standard error, however the program was started.

    A result may have taken minutes to measure, so printing it never fails because of a sign that the stream's
    encoding lacks (`LC_ALL=C`), or because nobody reads on (`coldstart list | head -1`). A full disk is still an
    `OutputError`, once.
    """
    codecs.register_error(FALLBACK, _in_other_signs)
    sys.stdout = _prepared(sys.stdout, 1)
    sys.stderr = _prepared(sys.stderr, 2)


class OutputError(Exception):
    """Standard output or standard error can't be written: which, and why."""


class _Output(io.FileIO):
    """A file whose output is discarded once its reader has gone (without an error) or it is full (an error, once)."""

    def write(self, content: bytes | memoryview, /) -> int:  # type: ignore[override]  # what a BufferedWriter passes on
        try:
            return super().write(content) or 0
        except OSError as error:
            # The interpreter writes the rest of the buffer when it ends: that must not fail again.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno in GONE:
                return len(content)
            name = "standard output" if self.fileno() == 1 else "standard error"
            raise OutputError(f"{name}: {error.strerror}") from error


def _prepared(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        # The program was started with this stream closed: no file opened later may get its number.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        return open(number, "w", encoding="utf-8", closefd=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # a test's own
    raw: io.FileIO = _Output(number, "w", closefd=False)
    encoding = stream.encoding
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, FALLBACK, line_buffering=number == 2 or raw.isatty())


def _in_other_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SIGNS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
