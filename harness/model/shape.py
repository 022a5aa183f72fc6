"""The shape of a request: its steps, what each needs, and whether it has a pool and a gate of its own.

    RequestShape("upload", Checkout(Query(), Upstream(Uniform(0.5, 2.0)), Write(), Commit()))

A step inside a `Checkout` has its connection, and the request holds that connection until the last step inside it has
ended. A `Checkout` inside another one asks for a second connection while the first is held.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from harness.model.distribution import Constant, Duration, duration
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, check_kind, check_name, check_whole
from harness.model.pool import PoolConfiguration

MAX_STEPS = 100
"""Of one request, those inside others included."""


@dataclass(frozen=True, slots=True, init=False)
class Query:
    """One statement: a read by primary key, or one that takes `for_s` seconds in the database."""

    for_s: Duration

    def __init__(self, for_s: float | Duration = 0.0) -> None:
        object.__setattr__(self, "for_s", duration(for_s, "for_s", where="query"))


@dataclass(frozen=True, slots=True)
class Write:
    """One statement that inserts a row."""


@dataclass(frozen=True, slots=True)
class Commit:
    """End the transaction. Without it, one is open from a checkout's first statement to its end."""


@dataclass(frozen=True, slots=True, init=False)
class Upstream:
    """Wait `for_s` seconds for something that is not the database: another service, an upload."""

    for_s: Duration

    def __init__(self, for_s: float | Duration) -> None:
        object.__setattr__(self, "for_s", duration(for_s, "for_s", where="upstream"))


@dataclass(frozen=True, slots=True, init=False)
class Checkout:
    """Check a connection out, carry out the steps, check it in."""

    steps: tuple["Step", ...]

    def __init__(self, *steps: "Step") -> None:
        object.__setattr__(self, "steps", _checked(steps, "checkout", connected=True))


@dataclass(frozen=True, slots=True, init=False)
class Parallel:
    """Carry out these steps at the same time: each a `Checkout`, with a connection of its own, or an `Upstream`."""

    steps: tuple["Step", ...]

    def __init__(self, *steps: "Step") -> None:
        object.__setattr__(self, "steps", _checked(steps, "parallel", connected=False))


Step: TypeAlias = Query | Write | Commit | Upstream | Checkout | Parallel


@dataclass(frozen=True, slots=True, init=False)
class RequestShape:
    """A kind of request, by its steps. With `at_most` and `pool` it is a background job beside the requests."""

    name: str
    steps: tuple[Step, ...]
    at_most: int | None
    """How many of them an instance carries out at a time; the others wait for their turn. None: no limit."""
    pool: PoolConfiguration | None
    """Each instance's pool for them; None: the pool of all other requests."""

    def __init__(
        self, name: str, *steps: Step, at_most: int | None = None, pool: PoolConfiguration | str | None = None
    ) -> None:
        check_name(name, where="request shape")
        where = f"request shape {name}"
        if at_most is not None:
            check_whole("at_most", at_most, where=where, least=1, most=MAX_CONNECTIONS)
        checked = _checked(steps, where, connected=False)
        if sum(1 for _ in _all(checked)) > MAX_STEPS:
            raise UserError("has too many steps", where=where, allowed=f"up to {MAX_STEPS}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "steps", checked)
        object.__setattr__(self, "at_most", at_most)
        object.__setattr__(
            self, "pool", PoolConfiguration.from_short(pool, where=where) if isinstance(pool, str) else pool
        )

    method = "POST"
    """As the service under test is asked for it."""

    @property
    def value(self) -> str:
        """The name in a run's files, as `RequestName.value` is."""
        return self.name

    def url(self, key: int, *, hold_s: float) -> str:  # noqa: ARG002 - its steps have their own durations
        """The path and query of one request."""
        return f"/shapes/{self.name}?key={key}"

    @property
    def connections(self) -> int:
        """The most connections that one request holds at a time."""
        return _most(self.steps)

    def drawn(self, key: int) -> tuple[Step, ...]:
        """The steps with their durations drawn: for the same key always the same, in the order they are written in."""
        return _drawn(self.steps, random.Random(f"shape/{key}"))


def _checked(steps: tuple[Step, ...], where: str, *, connected: bool) -> tuple[Step, ...]:
    if not steps:
        raise UserError("needs at least one step", where=where)
    parallel = where == "parallel"
    for step in steps:
        check_kind(step, (Query, Write, Commit, Upstream, Checkout, Parallel), "is not a step", where=where)
        if parallel and not isinstance(step, Checkout | Upstream):
            what = f"{type(step).__name__} can't be carried out beside other steps"
            raise UserError(what, where=where, allowed="Checkout(…) and Upstream(…)")
        if not connected and isinstance(step, Query | Write | Commit):
            what = f"{type(step).__name__}() needs a connection"
            raise UserError(what, where=where, allowed=f"Checkout({type(step).__name__}(), …)")
    return steps


def _all(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, Checkout | Parallel):
            yield from _all(step.steps)


def _most(steps: tuple[Step, ...]) -> int:
    """The most connections these steps hold at a time, beside those they are given."""
    most = 0
    for step in steps:
        match step:
            case Checkout(inner):
                most = max(most, 1 + _most(inner))
            case Parallel(branches):
                most = max(most, sum(_most((branch,)) for branch in branches))
            case _:
                pass
    return most


def _drawn(steps: tuple[Step, ...], random_: random.Random) -> tuple[Step, ...]:
    return tuple(_one_drawn(step, random_) for step in steps)


def _one_drawn(step: Step, random_: random.Random) -> Step:
    match step:
        case Query(for_s) | Upstream(for_s):
            return step if isinstance(for_s, Constant) else replace(step, for_s=Constant(for_s.draw(random_)))
        case Checkout(steps):
            return Checkout(*_drawn(steps, random_))
        case Parallel(steps):
            return Parallel(*_drawn(steps, random_))
        case _:
            return step
