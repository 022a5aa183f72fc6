"""The names of a run's configurations and wakes, for every sentence, table and chart.

A configuration's full name is `Trial.configuration`: the pool's label and the story's variant. Where there is little
room, the settings that all configurations of the page have in common are left out, so names stay different.
"""

from collections.abc import Collection, Iterable

from harness.model.distribution import Constant
from harness.model.driver import Driver
from harness.model.trial import Trial

CONTROL = "awake (control)"
DRIVER = "driver="


class Names:
    """Short names of the configurations that are shown together, by their full names."""

    def __init__(self, configurations: Iterable[str]) -> None:
        distinct = list(dict.fromkeys(configurations))
        settings = [_pool(name).split()[1:] for name in distinct]
        self.common = (
            [setting for setting in settings[0] if all(setting in own for own in settings)] if len(distinct) > 1 else []
        )
        """The settings, besides the size, that every configuration has: given once, in `note`, not in every line."""
        self._names = {name: _without(name, self.common) for name in distinct}
        named = [setting for name in distinct for setting in _pool(name).split()[1:] if setting.startswith(DRIVER)]
        self._several_drivers = 0 < len(named) < len(distinct)

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Names":
        return cls(trial.configuration for trial in trials)

    def __getitem__(self, configuration: str) -> str:
        return self._names[configuration]

    def kind(self, configuration: str) -> str:
        """The name without the pool's size. Configurations of one kind differ in size only.

        Where configurations differ in their drivers, each kind names its own, also the default.
        """
        pool, _, variant = self[configuration].partition(" (")
        settings = pool.split()[1:]
        if self._several_drivers and not any(setting.startswith(DRIVER) for setting in settings):
            settings.insert(0, f"{DRIVER}{Driver.ASYNCPG}")
        return ", ".join(filter(None, [" ".join(settings), variant.removesuffix(")")]))

    def note(self) -> str:
        """The sentence with the settings that the names leave out; empty when they leave out none."""
        return f"Every configuration: {', '.join(self.common)}." if self.common else ""


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


def _pool(configuration: str) -> str:
    return configuration.partition(" (")[0]


def _without(configuration: str, settings: Collection[str]) -> str:
    pool, bracket, variant = configuration.partition(" (")
    return " ".join(word for word in pool.split() if word not in settings) + bracket + variant
