"""Standard output and standard error as they are: in any encoding, closed, full, or a terminal of any width."""

import codecs
import errno
import io
import os
import sys
from typing import TextIO

import click
from rich.console import Console

SIGNS = {
    "–": "-", "…": "...", "•": "*", "×": "x", "≥": ">=", "≤": "<=", "−": "-", "→": "->", "∅": "-",
    "’": "'", "‘": "'", "“": '"', "”": '"', "µ": "u", "μ": "u", "±": "+-", "·": "*", "°": " degrees",
}  # fmt: skip
"""What is written in place of the few signs of ours that an encoding may not have; of any other sign, `?`."""
FALLBACK = "coldstart"


def console(*, stderr: bool = False) -> Console:
    """Where tables and sentences are printed: text is taken as it is, brackets and colons in it mean nothing."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def echo(text: object, *, err: bool = False) -> None:
    """Print a line. Given no file, click would write UTF-8 to a stream whose encoding is ASCII."""
    click.echo(text, file=sys.stderr if err else sys.stdout)


def prepare_streams() -> None:
    """Make standard output and standard error lose nothing, however the program was started.

    A result may have taken minutes to measure, so printing it never fails because of a sign that the stream's
    encoding lacks (`LC_ALL=C`), or because nobody reads on (`coldstart list | head -1`). A full disk is still an
    `OSError`, once.
    """
    codecs.register_error(FALLBACK, _in_other_signs)
    sys.stdout = _prepared(sys.stdout, 1)
    sys.stderr = _prepared(sys.stderr, 2)


class _Output(io.FileIO):
    """A stream that nobody reads any more, or that is full, is written to nowhere from then on."""

    def write(self, content: bytes | memoryview, /) -> int:  # type: ignore[override]  # what a BufferedWriter passes on
        try:
            return super().write(content) or 0
        except OSError as error:
            # What is still buffered is written again when the interpreter ends: it must not fail a second time.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                return len(content)
            raise


def _prepared(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        # The program was started with this stream closed: the next file to be opened must not take its place.
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
