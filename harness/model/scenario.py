"""A scenario: the content of its file as values. Creating one does no I/O and imports neither Locust nor gevent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from harness.model.errors import UserError
from harness.model.expectation import Expectation
from harness.model.limits import check_name, check_phrase, check_title, quoted
from harness.model.pool import PoolConfiguration
from harness.model.story import Story


def pool(short: str, *, name: str | None = None, **settings: float | bool | str) -> PoolConfiguration:
    """A pool configuration as written in a scenario: `pool("5+0", pool_timeout=10, name="that night")`."""
    configuration = PoolConfiguration.from_short(short, where="pool").with_settings(
        {setting: str(value) for setting, value in settings.items()}, where="pool"
    )
    return configuration if name is None else configuration.named(name)


def once_each(pools: Iterable[PoolConfiguration], *, where: str) -> tuple[PoolConfiguration, ...]:
    """Each of the pools once. Raises `UserError` for two pools with one name, and for one pool with two names."""
    by_settings: dict[PoolConfiguration, PoolConfiguration] = {}
    by_name: dict[str, PoolConfiguration] = {}
    for pool in pools:
        settings = pool.resolved
        known = by_settings.setdefault(settings, pool)
        if not pool.name:
            continue
        if known.name not in ("", pool.name):
            what = f"{quoted(known.name)} and {quoted(pool.name)} are one pool: {pool.label}"
            raise UserError(what, where=where, allowed="one name a pool")
        if by_name.setdefault(pool.name, settings) != settings:
            raise UserError(f"two pools are called {quoted(pool.name)}", where=where, allowed="a name for each")
        by_settings[settings] = pool
    return tuple(by_settings.values())


FIXED = frozenset({"name", "wake", "alert_sustained_s"})
"""The fields of a story that a variant can't change."""
VARYING = frozenset(field.name for field in fields(Story)) - FIXED


@dataclass(frozen=True, slots=True, init=False)
class Variant:
    """The story with some of its fields changed, played as well: `Variant("with jitter", retry=…)`.

    The changes are fields of `Story`. Every pool configuration meets every variant.
    """

    name: str
    changes: Mapping[str, Any] = field(hash=False)

    def __init__(self, name: str, **changes: Any) -> None:  # noqa: ANN401 - fields of Story, each with its type
        check_title(name, where="variant")
        unknown = sorted(set(changes) - VARYING)
        if unknown:
            raise UserError(f"can't vary {unknown[0]}", where=f"variant {name}", allowed=", ".join(sorted(VARYING)))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "changes", changes)


@dataclass(frozen=True, slots=True, init=False)
class RealTime:
    """The changes that shorten the story where time is real; tables and charts show the `description`."""

    description: str
    changes: Mapping[str, Any] = field(hash=False)

    def __init__(self, description: str, /, **changes: Any) -> None:  # noqa: ANN401 - fields of Scenario, each with its type
        check_phrase(description, where="RealTime")
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "changes", changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario(Story):
    """The content of a scenario file: a story, the pools that it is played with, and what is expected of them.

    The user's changes on the command line are in `harness.model.plan`.
    """

    pools: tuple[PoolConfiguration | str, ...]
    expect: Mapping[PoolConfiguration | str, Expectation | tuple[Expectation, ...]] | None = None
    control: bool = True
    """Whether the same arrivals are also played with the compute awake."""
    variants: tuple[Variant, ...] = ()
    real_time: RealTime | None = None
    """How the scenario is shortened where time is real; None: it is not."""
    description: str = ""
    """The scenario file's docstring; its first line is what `coldstart list` shows."""

    def __post_init__(self) -> None:
        # The name becomes part of the run's folder name.
        check_name(self.name, where="scenario")
        if not self.pools:
            raise UserError("needs at least one pool configuration", where=f"scenario {self.name}")
        once_each(self.pool_configurations, where=f"scenario {self.name}")
        # Not super(): with slots, the dataclass decorator creates a new class, and super() would use the old one.
        Story.__post_init__(self)
        self._check_parts()
        if self.real_time is not None:
            self.in_real_time()

    def _check_parts(self) -> None:
        """Raise `UserError` for an expectation about a burst, a request or an instance that a story does not have."""
        about_parts = [expected for _, expected in self.expectations if not expected.part.is_whole]
        for variant, story in self.stories.items() if about_parts else ():
            for expected in about_parts:
                if expected.variant in (None, variant):
                    where = f"scenario {self.name}" + (f", variant {variant}" if variant else "")
                    expected.part.check(story, where=f"{where}, expected: {expected.text}")

    @property
    def pool_configurations(self) -> tuple[PoolConfiguration, ...]:
        return tuple(_configuration(pool) for pool in self.pools)

    @property
    def stories(self) -> dict[str, Story]:
        """The story of each variant, by its name; without variants the scenario's own, under an empty name."""
        own = Story(**{field.name: getattr(self, field.name) for field in fields(Story)})
        return {variant.name: replace(own, **variant.changes) for variant in self.variants} or {"": own}

    @property
    def expectations(self) -> list[tuple[PoolConfiguration, Expectation]]:
        """Each expectation with the pool configuration it is about, under its name, in the file's order."""
        named = {pool.resolved: pool for pool in self.pool_configurations if pool.name}
        return [
            (named.get(_configuration(pool).resolved, _configuration(pool)), expectation)
            for pool, expected in (self.expect or {}).items()
            for expectation in (expected if isinstance(expected, tuple) else (expected,))
        ]

    def in_real_time(self) -> Self:
        """The scenario with its changes for real time."""
        return self if self.real_time is None else replace(self, **self.real_time.changes, real_time=None)


def _configuration(pool: PoolConfiguration | str) -> PoolConfiguration:
    return PoolConfiguration.from_short(pool, where="pools") if isinstance(pool, str) else pool
