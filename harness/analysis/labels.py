"""What a run's configurations and wakes are called: the one place that names them, for every sentence, table and chart.

A configuration's whole name is `Trial.configuration`: the pool's label, and the story's variant. Where there is little
room it loses what all configurations of the same page have in common, and nothing else: no two share a name.
"""

from collections.abc import Collection, Iterable

from harness.model.trial import Trial
from harness.model.wake import Constant

CONTROL = "awake (control)"


class Names:
    """The names of the configurations that are shown together, by their whole names."""

    def __init__(self, configurations: Iterable[str]) -> None:
        every = list(dict.fromkeys(configurations))
        settings = [_pool(name).split()[1:] for name in every]
        self.common = [one for one in settings[0] if all(one in own for own in settings)] if len(every) > 1 else []
        """What every configuration has beyond its size: said once, it need not be said in every line."""
        self._names = {name: _without(name, self.common) for name in every}

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Names":
        return cls(trial.configuration for trial in trials)

    def __getitem__(self, configuration: str) -> str:
        return self._names[configuration]

    def kind(self, configuration: str) -> str:
        """The name without the pool's size: what configurations of one kind, that differ in size only, share."""
        pool, _, variant = self[configuration].partition(" (")
        return ", ".join(filter(None, [" ".join(pool.split()[1:]), variant.removesuffix(")")]))

    def note(self) -> str:
        """The sentence that gives back what the names leave out; empty: they leave nothing out."""
        return f"Every configuration: {', '.join(self.common)}." if self.common else ""


def wake_name(trial: Trial) -> str:
    """The name of what a trial meets, the same for every seed: several seeds of a profile draw several latencies."""
    wake = trial.wake
    if wake is None:
        return CONTROL
    if not wake.can_sleep or isinstance(wake.latency, Constant):
        return trial.wake_label
    # What the label says after the latency tells wakes with one distribution apart.
    apart = [part for part in trial.wake_label.split(", ")[1:] if part != wake.name]
    return ", ".join([f"wake of {wake.name}: {wake.latency}", *apart])


def _pool(configuration: str) -> str:
    return configuration.partition(" (")[0]


def _without(configuration: str, settings: Collection[str]) -> str:
    pool, bracket, variant = configuration.partition(" (")
    return " ".join(word for word in pool.split() if word not in settings) + bracket + variant
