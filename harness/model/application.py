"""The user's own application: where it is, what it is asked, and how its pool's settings reach it."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.errors import UserError
from harness.model.limits import check_number
from harness.model.pool import SETTINGS

IMPORTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""`module:attribute`, as uvicorn takes an application."""
ADDRESS = ("url", "host", "port", "user", "password", "database")
"""What of the database's address a variable can carry."""
UNITS = {"": 1.0, "s": 1.0, "ms": 1000.0}
"""In which a duration can be given to an application, and how many of them make a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of the application's environment, and what it carries: an `ADDRESS` part or a pool's setting."""

    carries: str
    name: str
    unit: str = ""

    def __post_init__(self) -> None:
        where = "--env"
        if self.carries not in (*ADDRESS, *SETTINGS):
            raise UserError(f"no setting {self.carries!r}", where=where, allowed=", ".join((*ADDRESS, *SETTINGS)))
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.name):
            raise UserError(f"{self.name!r} is not a variable's name", where=where, allowed="letters, digits and _")
        if self.unit not in UNITS:
            raise UserError(f"no unit {self.unit!r}", where=where, allowed="s, ms")

    @property
    def text(self) -> str:
        """As `--env` takes it."""
        return f"{self.carries}={self.name}" + (f":{self.unit}" if self.unit else "")

    def of(self, value: Any) -> str:  # noqa: ANN401 - of a setting
        """The text for a setting's value; durations are in seconds."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return f"{value * UNITS[self.unit]:.12g}"
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A host outside that a simulated application asks: it answers every request with 200 and `{}` after `for_s`."""

    host: str
    for_s: float

    def __post_init__(self) -> None:
        if not self.host or any(character.isspace() for character in self.host):
            raise UserError(f"{self.host!r} is not a host", where="--stub", allowed="HOST=SECONDS")
        check_number("a stub's seconds", self.for_s, where=f"--stub {self.host}")


def check_target(url: str) -> None:
    """Raises `UserError` for what is no URL of an application; it never repeats one that may have a password in it."""
    allowed = "http://HOST:PORT, with a path where all of its requests are below one"
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        raise UserError("is not a URL", where="--target", allowed=allowed) from None
    if "@" in parts.netloc:
        raise UserError("has a user in it: a run keeps it", where="--target", allowed="headers in the requests file")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        raise UserError(f"{url!r} is not a URL", where="--target", allowed=allowed)
    if parts.query or parts.fragment or any(character.isspace() for character in url):
        raise UserError(f"{url!r} is more than an address", where="--target", allowed=allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application in place of the service under test. Raises `UserError` on construction for one that can't be."""

    mix: RequestMix
    """What it is asked, in every burst."""
    app: str | None = None
    """`module:attribute`: it is started for each trial. None: it is running, at `target`."""
    target: str | None = None
    """The URL at which it runs already; None: it is started."""
    python: str | None = None
    """The interpreter of its environment; None: the one that coldstart itself runs in."""
    folder: str = "."
    """Where it is started: its modules are looked for there."""
    variables: tuple[Variable, ...] = (Variable(carries="url", name="DATABASE_URL"),)
    init: str | None = None
    """A file of SQL that makes its tables."""
    prepare: str | None = None
    """A command of its environment that makes its tables, such as `alembic upgrade head`."""
    recording: str | None = None
    """What answers it in virtual time: the file that `coldstart record` wrote."""
    stubs: tuple[Stub, ...] = ()
    cpu: bool = False
    """Whether it and its database compute, in virtual time, what they computed in the recording, on as many cores."""

    def __post_init__(self) -> None:
        if (self.app is None) == (self.target is None):
            raise UserError("an application is either started (--app) or running (--target)", where="application")
        if self.target is not None:
            check_target(self.target)
        if self.app is not None and not IMPORTED.fullmatch(self.app):
            raise UserError(f"{self.app!r} is not an application", where="--app", allowed="module:attribute")

    @property
    def name(self) -> str:
        """As it is called in tables and charts."""
        return self.app or self.target or ""

    @property
    def kinds(self) -> list[ApplicationRequest]:
        """Every kind of request that it is asked."""
        return [request for request, _ in self.mix.weights if isinstance(request, ApplicationRequest)]

    def variable(self, carries: str) -> Variable | None:
        """The variable that carries this; None: there is none."""
        return next((variable for variable in self.variables if variable.carries == carries), None)
