"""Requests that were made of something else than a requests file, with what only the user can know about them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from harness.model.application_request import ApplicationRequest

LONGEST_NAME = 64
SAFE = "/!$&'()*+,;=:@-._~%"
"""Characters of a path that stay as they are; what is percent-encoded already stays so too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One kind of request for a requests file."""

    request: ApplicationRequest
    weight: float = 1.0
    notes: tuple[str, ...] = ()
    """What needs the user's hand, a line each."""


def path_text(text: str) -> str:
    """A path, percent-encoded where it isn't, with nothing in it that a requests file fills in."""
    return quote(text, safe=SAFE, errors="replace")


def encoded(text: str) -> str:
    """A value as it stands in a path's segment or a query: percent-encoded, and nothing is filled in."""
    return quote(literal(text), safe="", errors="replace")


def literal(text: str) -> str:
    """The text with nothing in it that a requests file fills in: no `${NAME}`, `{key}` or `{unique}`."""
    return re.sub(r"\{+(key|unique)\}+", r"\1", re.sub(r"\$+(?=\{)", "", text))


class Names:
    """Names for requests, each one once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, text: str) -> str:
        """The text as a name, with a number at its end where another request has it already."""
        words = re.findall(r"[A-Za-z0-9_-]+", text)
        name = "_".join(words).strip("_")[:LONGEST_NAME] or "root"
        for end in self._ends():
            tried = name[: LONGEST_NAME - len(end)] + end
            if tried not in self._given:
                self._given.add(tried)
                return tried
        raise AssertionError("numbers do not end")

    @staticmethod
    def _ends() -> Iterable[str]:
        yield ""
        number = 2
        while True:
            yield f"_{number}"
            number += 1
