"""The file of `coldstart check`: one table a check, in TOML, whose keys are the options of `coldstart run`.

[[check]]
name = "the fix at 8 s"
scenario = "cold_burst"
pool = ["10+5", "5+0,pool_timeout=30"]
wake = 8
repeat = 5
service-time = 0.02
slo = ["failed<1%", "p(95)<12s"]
patience = 15
baseline = "baselines/the-fix"

Reading is strict: an unknown key, a value of another type and an objective that can't be read are refused by name.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harness.model.errors import UserError
from harness.model.limits import TITLE_ALLOWED, check_number, check_title, quoted
from harness.model.objective import Objective, read_objective
from harness.model.patience import Patience

DEFAULT_FILE = Path("coldstart.toml")
TABLE = "check"
BEGINS = re.compile(r"[ \t]*\[\[[ \t]*(check|\"check\"|'check')[ \t]*\]\]")
STACK = "simulated"
"""Where a check is played unless it says otherwise: in virtual time a build waits for seconds, and nothing is late."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of `coldstart run` as a key: which types its value may have."""

    types: tuple[type, ...]
    words: str
    """The types in words: `a whole number`."""
    repeatable: bool = False
    """Whether the value may be a list."""
    switch: bool = False
    """Whether it is an option without a value, which `--no-` turns off."""


TEXT = Option((str,), "text")
OWN = {
    "name": TEXT,
    "scenario": TEXT,
    "slo": Option((str,), "text", repeatable=True),
    "patience": Option((int, float), "a number of seconds"),
    "baseline": TEXT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check as the file has it."""

    name: str
    line: int | None
    """The line of its `[[check]]`; None: not known."""
    scenario: str
    objectives: tuple[Objective, ...]
    patience: Patience | None
    """None: the story's, else the default."""
    baseline: str | None
    """A run's folder or id; None: there is none."""
    words: tuple[str, ...]
    """What is asked for, as arguments of `coldstart run`."""


def read_checks(path: Path, options: Mapping[str, Option]) -> list[Check]:
    """The checks of a file. `options` are those of `coldstart run` by name, without the dashes in front.

    Raises `UserError`, in one line, with the file, the check and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"is not TOML: {error}", where=str(path)) from None
    tables = document.pop(TABLE, None)
    if document:
        raise UserError(f"has an unknown key {quoted(min(document))}", where=str(path), allowed=f"[[{TABLE}]] tables")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UserError("has no check", where=str(path), allowed=f"[[{TABLE}]] tables")
    lines = [number for number, line in enumerate(text.split("\n"), 1) if BEGINS.match(line)]
    checks = [
        _check(table, options, place=f"{path}: check {number}", line=line)
        for number, (table, line) in enumerate(zip(tables, _each(lines, len(tables)), strict=True), 1)
    ]
    names = [check.name for check in checks]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two checks have the name {twice!r}", where=str(path), allowed="a name for each")
    return checks


def _each(lines: Sequence[int], tables: int) -> Sequence[int | None]:
    # A line of a text over several lines may look like the beginning of a table: then none is known.
    return lines if len(lines) == tables else [None] * tables


def _check(table: dict[str, Any], options: Mapping[str, Option], *, place: str, line: int | None) -> Check:
    given = _by_name(table, {**OWN, **options}, place)
    scenario = given.pop("scenario", None)
    if scenario is None:
        raise UserError(
            "has no scenario", where=place, allowed="scenario, slo, and any of the options of coldstart run"
        )
    name = given.pop("name", Path(scenario).stem)
    try:
        check_title(name, where="name")
    except UserError as error:
        raise UserError(error.what, where=f"{place}: name", allowed=TITLE_ALLOWED) from None
    if "slo" not in given:
        raise UserError("has no slo, so it would judge nothing", where=place, allowed='such as slo = ["failed<1%"]')
    objectives = tuple(read_objective(text, where=f"{place}: slo") for text in _list(given.pop("slo")))
    if twice := next((one for one in objectives if objectives.count(one) > 1), None):
        raise UserError(f"the objective {twice} is there twice", where=f"{place}: slo")
    return Check(
        name=name,
        line=line,
        scenario=scenario,
        objectives=objectives,
        patience=_patience(given.pop("patience", None), place),
        baseline=given.pop("baseline", None),
        words=tuple(_words({**({} if "target" in given else {"stack": STACK}), "control": False, **given}, options)),
    )


def _by_name(table: dict[str, Any], known: Mapping[str, Option], place: str) -> dict[str, Any]:
    """The table's values under the options' own names; `service_time` is another spelling of `service-time`."""
    given: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            allowed = near[0] if near else ", ".join(known)
            raise UserError(f"has an unknown key {quoted(key)}", where=place, allowed=allowed)
        if name in given:
            raise UserError(f"has {name} twice, once as {key}", where=place)
        _check_type(value, known[name], f"{place}: {key}")
        given[name] = value
    return given


def _check_type(value: object, option: Option, where: str) -> None:
    several = option.repeatable and isinstance(value, list)
    values = value if isinstance(value, list) and several else [value]
    # A bool is an int for Python, and no number for anybody else.
    right = all(isinstance(one, option.types) and isinstance(one, bool) == option.switch for one in values)
    if not values or not right:
        must = f"{option.words}, or a list of that" if option.repeatable else option.words
        raise UserError(f"must be {must}, got {quoted(str(value))}", where=where)
    if any(isinstance(one, str) and not one.strip() for one in values):
        raise UserError("is empty", where=where)


def _patience(seconds: float | None, place: str) -> Patience | None:
    if seconds is None:
        return None
    check_number("patience", seconds, where=place, above_least=True)
    return Patience(float(seconds), "the check's patience")


def _words(given: Mapping[str, Any], options: Mapping[str, Option]) -> Iterator[str]:
    """The values as arguments; with `=`, so that none that begins with a dash is taken for an option."""
    for name, value in given.items():
        if options[name].switch:
            yield f"--{name}" if value else f"--no-{name}"
        else:
            yield from (f"--{name}={one}" for one in _list(value))


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - of TOML
    return value if isinstance(value, list) else [value]
