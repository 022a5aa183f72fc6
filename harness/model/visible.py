"""Text from outside, such as a name or a server's message, made harmless to what shows it: terminals, spreadsheets."""

import shlex
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

LINE_ENDS = "\n\t"
FORMULA = ("=", "+", "-", "@")
"""What spreadsheets take for the beginning of a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""


def visible(text: str) -> str:
    """The text with `?` for each sign that a terminal obeys instead of showing it; lines and tabs stay.

    An escape sequence could set the clipboard, draw over what was printed, or turn the direction of a line
    (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in LINE_ENDS or _is_space(sign) else "?" for sign in text)


def in_one_line(text: str) -> str:
    """The same, with a space for each line's end."""
    return visible(" ".join(text.split()))


def spreadsheet_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of CSV in which no text is a formula: one that begins as they do gets an apostrophe, as spreadsheets show
    text; numbers stay numbers."""
    return {name: _cell(value) if isinstance(value, str) else value for name, value in row.items()}


def command_line(words: Iterable[str]) -> str:
    """The words as one line that a shell reads as the same words, whatever is in them."""
    return " ".join(shlex.quote(word) if word.isprintable() else f"$'{_escaped(word)}'" for word in words)


def _cell(text: str) -> str:
    text = in_one_line(text)
    return f"'{text}" if text.startswith(FORMULA) else text


def _escaped(word: str) -> str:
    """For a shell's $'…': https://www.gnu.org/software/bash/manual/html_node/ANSI_002dC-Quoting.html"""
    data = word.encode("utf-8", "surrogateescape" if _is_of_bytes(word) else "surrogatepass")
    plain = frozenset(range(0x20, 0x7F)) - {ord("'"), ord("\\")}
    return "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in data)


def _is_of_bytes(word: str) -> bool:
    """Whether it has bytes of another encoding, as Python keeps them in the words of a command line."""
    return any("\udc80" <= sign <= "\udcff" for sign in word)


def _is_space(sign: str) -> bool:
    return unicodedata.category(sign) == "Zs"
