"""A request to the user's own application: how it is asked for over HTTP, and which answers are good ones."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.model.errors import UserError
from harness.model.limits import check_name, check_whole, quoted

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LARGEST_KEY = 2**31 - 1
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable of the environment in a request's text, such as `${API_TOKEN}`."""
FILLED = re.compile(rf"{VARIABLE.pattern}|\{{key\}}|\{{unique\}}")
PATH = re.compile(r"/[!\"$-~]*")
"""Visible ASCII but `#`, which begins what is not sent."""
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
HEADER_TEXT = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")
STATUSES = (200, 399)
"""The good answers of a request that names none: 200 up to 399."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it is sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRequest:
    """One kind of request. Raises `UserError` on construction for what can't be asked.

    In `target`, `headers` and `body`, `{key}` stands for a whole number of `keys`, `{unique}` for a random one below
    2**31, and `${NAME}` for a variable of the environment, so that no secret is in a file.
    """

    name: str
    target: str
    """Path and query, such as `/items/{key}`."""
    method: str = "GET"
    keys: tuple[int, int] = (1, 100)
    """The first and the last number that `{key}` can be."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    statuses: tuple[int, ...] = ()
    """The HTTP statuses of a good answer; empty: 200 to 399."""

    def __post_init__(self) -> None:
        check_name(self.name, where="request")
        where = f"request {self.name}"
        if self.method not in METHODS:
            raise UserError(f"no method {self.method!r}", where=where, allowed=", ".join(METHODS))
        if not PATH.fullmatch(self.target):
            allowed = "a path such as /items/{key}; other characters percent-encoded"
            raise UserError(f"{quoted(self.target)} is not a path", where=where, allowed=allowed)
        for name, text in self.headers:
            if not HEADER.fullmatch(name) or not HEADER_TEXT.fullmatch(text):
                what = f"{quoted(f'{name}: {text}')} is not a header"
                raise UserError(what, where=where, allowed="a name of letters, digits and -, and a line of ASCII")
        if twice := {name.lower() for name, _ in self.headers if self._headers_named(name) > 1}:
            raise UserError(f"two headers have the name {min(twice)}", where=where)
        first, last = self.keys
        check_whole("the first key", first, where=where, most=LARGEST_KEY)
        check_whole("the last key", last, where=where, least=first, most=LARGEST_KEY)
        for status in self.statuses:
            check_whole("a status", status, where=where, least=100, most=599)

    @property
    def value(self) -> str:
        """The name in a run's files, as `RequestName.value` is."""
        return self.name

    def url(self, key: int, *, hold_s: float) -> str:  # noqa: ARG002 - it is the application that takes its time
        """The path and query of one request, `key` a number from 0 below 2**31."""
        return self.asked(key).target

    def asked(self, key: int, environment: Mapping[str, str] = os.environ) -> Asked:
        """One request. Raises `UserError` for a variable that the environment does not have."""
        return Asked(
            method=self.method,
            target=self._filled(self.target, key, environment),
            headers={name: self._filled(text, key, environment) for name, text in self.headers},
            body=None if self.body is None else self._filled(self.body, key, environment),
        )

    def is_good(self, status: int) -> bool:
        """Whether an answer with this HTTP status is what was asked for."""
        return status in self.statuses if self.statuses else STATUSES[0] <= status <= STATUSES[1]

    @property
    def variables(self) -> frozenset[str]:
        """The variables of the environment that it needs."""
        return frozenset(name for text in self.texts for name in VARIABLE.findall(text))

    @property
    def texts(self) -> tuple[str, ...]:
        """What is filled in: its path, its body and its headers' texts."""
        return (self.target, self.body or "", *(text for _, text in self.headers))

    def check_variables(self, environment: Mapping[str, str] = os.environ) -> None:
        """Raise `UserError` for a variable that the environment does not have."""
        for name in sorted(self.variables - environment.keys()):
            raise UserError(
                f"the environment has no variable {name}", where=f"request {self.name}", allowed=f"{name}=… in front"
            )

    def _headers_named(self, name: str) -> int:
        return sum(other.lower() == name.lower() for other, _ in self.headers)

    def _filled(self, text: str, key: int, environment: Mapping[str, str]) -> str:
        first, last = self.keys
        numbers = {"{key}": str(first + key % (last - first + 1)), "{unique}": str(key)}
        if "${" in text:
            self.check_variables(environment)
        # In one go: what a variable holds is sent as it is.
        return FILLED.sub(lambda match: environment[match[1]] if match[1] else numbers[match[0]], text)
