"""The names of a run's configurations and wakes, for every sentence, table and chart.

A configuration's full name is `Trial.configuration`: what its pool is called, by its name or else by its label, and the
story's variant. Where there is little room, the settings that all configurations of the page have in common are left
out of the labels, so names stay different.
"""

from collections.abc import Collection, Iterable
from typing import Protocol, Self

from harness.model.distribution import Constant
from harness.model.driver import Driver
from harness.model.pool import SHORT_FORM, PoolConfiguration
from harness.model.trial import Trial

CONTROL = "awake (control)"
DRIVER = "driver="


class Configured(Protocol):
    """A trial, or a comparison's line."""

    @property
    def configuration(self) -> str: ...

    @property
    def pool(self) -> PoolConfiguration: ...

    @property
    def variant(self) -> str: ...


class Names:
    """Short names of the configurations that are shown together, by their full names.

    Made of full names alone, it can't say what the named ones mean.
    """

    def __init__(self, configurations: Iterable[str]) -> None:
        self._set(dict.fromkeys(configurations), {})

    @classmethod
    def of(cls, configured: Iterable[Configured]) -> Self:
        """The names of these trials or lines, and what they mean."""
        configured = list(configured)
        names = cls(())
        names._set(
            dict.fromkeys(one.configuration for one in configured),
            {one.configuration: one.pool for one in configured if one.pool.name},
        )
        return names

    def _set(self, distinct: Collection[str], named: dict[str, PoolConfiguration]) -> None:
        self._labels = {
            name: f"{named[name].label}{name.removeprefix(named[name].name)}" if name in named else name
            for name in distinct
        }
        """The label of each configuration, with its variant."""
        settings = [_settings(label) for label in self._labels.values()]
        known = len(settings) > 1 and all(map(_is_label, self._labels.values()))
        self.common = [setting for setting in settings[0] if all(setting in own for own in settings)] if known else []
        """The settings, besides the size, that every configuration has: given once, in `note`, not in every line."""
        self._names = {name: _without(name, self.common) if _is_label(name) else name for name in distinct}
        self._pools = {pool.name: pool for pool in named.values()}
        given = [setting for own in settings for setting in own if setting.startswith(DRIVER)]
        self._several_drivers = 0 < len(given) < len(distinct)

    def __getitem__(self, configuration: str) -> str:
        return self._names[configuration]

    def kind(self, configuration: str) -> str:
        """The name without the pool's size. Configurations of one kind differ in size only.

        Where configurations differ in their drivers, each kind names its own, also the default. A configuration with a
        name that is the only one of its kind is called by it.
        """
        kind = self._kind(configuration)
        alone = [self._kind(other) for other in self._labels].count(kind) == 1
        return self[configuration] if alone and not _is_label(configuration) else kind

    def _kind(self, configuration: str) -> str:
        label = self._labels[configuration]
        settings = [setting for setting in _settings(label) if setting not in self.common]
        if self._several_drivers and not any(setting.startswith(DRIVER) for setting in settings):
            settings.insert(0, f"{DRIVER}{Driver.ASYNCPG}")
        return ", ".join(filter(None, [" ".join(settings), label.partition(" (")[2].removesuffix(")")]))

    def note(self) -> str:
        """The sentence with the settings that the names leave out; empty when they leave out none."""
        return f"Every configuration: {', '.join(self.common)}." if self.common else ""

    def meanings(self) -> list[str]:
        """A line for each pool that has a name: `the fix: 10+5 pool_timeout=30`, without what the note says."""
        return [f"{name}: {_without(pool.label, self.common)}" for name, pool in self._pools.items()]


def wake_name(trial: Trial) -> str:
    """The name of the wake that a trial meets, the same for all seeds, though each seed may draw another latency."""
    wake = trial.wake
    if wake is None:
        return CONTROL
    if not wake.can_sleep or isinstance(wake.latency, Constant):
        return trial.wake_label
    # The rest of the label distinguishes wakes that have the same distribution of latencies.
    apart = [part for part in trial.wake_label.split(", ")[1:] if part != wake.name]
    return ", ".join([f"wake of {wake.name}: {wake.latency}", *apart])


def _is_label(configuration: str) -> bool:
    return SHORT_FORM.match(configuration) is not None


def _settings(label: str) -> list[str]:
    return label.partition(" (")[0].split()[1:]


def _without(configuration: str, settings: Collection[str]) -> str:
    pool, bracket, variant = configuration.partition(" (")
    return " ".join(word for word in pool.split() if word not in settings) + bracket + variant
