"""What is played: a scenario as its file says it, all that a user changed, and the two together.

This is the one place that decides who wins. A variant changes the scenario's story; then what the user changed is
applied, so that it holds in every variant. Judging, the manifest, the report and the postmortem read the plan.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.model.expectation import Expectation
from harness.model.limits import LARGEST_SEED, MOST_REQUESTS_OF_A_RUN, MOST_TRIALS, check_number, check_whole
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.story import Story
from harness.model.timeline import Burst, TimelinePhase, Warm
from harness.model.times import Calibration, Times
from harness.model.trial import Trial
from harness.model.wake import Constant, WakeChoice, WakeProfile

POOLS_NAMED = 3
"""Of more pools that the file does not have only the number is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """All that a user changed on the command line; what is None or empty is the scenario's.

    Raises `UserError` on construction when a value can't be meant.
    """

    pools: tuple[PoolConfiguration, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Settings of every pool, by their own names, as text."""
    wakes: tuple[WakeChoice, ...] = ()
    on_suspend: OnSuspend | None = None
    while_waking: WhileWaking | None = None
    requests: int | None = None
    """Of every burst, as `over_s` and `arrivals` are."""
    over_s: float | None = None
    arrivals: Pattern | None = None
    warm: int | None = None
    """Connections of every warm phase; a timeline without one begins with it."""
    alert_sustained_s: float | None = None
    service_time_s: float | None = None
    connect_time_s: float | None = None
    calibration: Calibration | None = None
    """Measured times of the simulated database; the two above take their place where they are given."""
    seed: int = 1
    """The first seed."""
    repeat: int = 1
    """How many seeds."""
    control: bool = True
    """False: no controls, whatever the scenario says."""

    def __post_init__(self) -> None:
        options = {"alert_sustained_s": "--alert-after", "service_time_s": "--service-time",
                   "connect_time_s": "--connect-time"}  # fmt: skip
        for name, option in options.items():
            value = getattr(self, name)
            if value is not None:
                check_number(option, value, where="run")
        check_whole("seed", self.seed, where="run", most=LARGEST_SEED)
        check_whole("repeat", self.repeat, where="run", least=1, most=MOST_TRIALS)
        # Applied once, so that a wrong name or value is refused before anything is played.
        PoolConfiguration().with_settings(self.settings)

    def applied_to(self, story: Story) -> Story:
        """The story with all that was changed."""
        times_s: dict[str, Any] = {"service_time_s": self.service_time_s, "connect_time_s": self.connect_time_s}
        if self.calibration is None:
            # Without measured times those of the scenario stand.
            times_s = {name: seconds for name, seconds in times_s.items() if seconds is not None}
        if self.alert_sustained_s is not None:
            story = replace(story, alert_sustained_s=self.alert_sustained_s)
        return replace(story, wake=self.wakes_for(story), timeline=tuple(self._timeline(story)), **times_s)

    def wakes_for(self, story: Story) -> tuple[WakeProfile, ...]:
        """Each wake once; a chosen one is the scenario's first in all that the choice leaves out."""
        chosen = tuple(choice.applied_to(story.wakes[0]) for choice in self.wakes) or story.wakes
        behaved = (wake.with_changes(on_suspend=self.on_suspend, while_waking=self.while_waking) for wake in chosen)
        return tuple(dict.fromkeys(behaved))

    def _timeline(self, story: Story) -> Iterator[TimelinePhase]:
        given = {"requests": self.requests, "over_s": self.over_s, "arrivals": self.arrivals}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.warm is not None and not any(isinstance(phase, Warm) for phase in story.timeline):
            yield Warm(self.warm)
        for phase in story.timeline:
            if isinstance(phase, Burst) and changes:
                # Other numbers than the file's have no moments of their own: they come as a Poisson process does.
                unnamed = {"given_s": (), "arrivals": Pattern.POISSON} if phase.given_s else {}
                yield replace(phase, **{**unnamed, **changes})
            elif isinstance(phase, Warm) and self.warm is not None:
                yield Warm(self.warm)
            else:
                yield phase

    def one_by_one(self) -> Iterator[tuple[str, "Overrides"]]:
        """Each change to the story alone, with its name and value in words."""
        named = {
            "requests": "requests", "over_s": "over", "arrivals": "arrivals", "warm": "warm",
            "on_suspend": "on_suspend", "while_waking": "while_waking", "alert_sustained_s": "alert_after",
            "service_time_s": "service_time", "connect_time_s": "connect_time",
        }  # fmt: skip
        for wake in self.wakes:
            yield f"wake={wake.text}", Overrides(wakes=(wake,))
        for name, word in named.items():
            if (value := getattr(self, name)) is not None:
                changes: dict[str, Any] = {name: value}
                yield f"{word}={value:g}" if isinstance(value, float) else f"{word}={value}", Overrides(**changes)
        if self.calibration is not None:
            yield f"calibration={self.calibration.source}", Overrides(calibration=self.calibration)
        for name, text in self.settings.items():
            yield f"{name}={text}", Overrides(settings={name: text})


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A scenario, what a user changed, and whether time is real: everything that a run's trials follow from."""

    scenario: Scenario
    """As its file says it."""
    overrides: Overrides = field(default_factory=Overrides)
    real_time: bool = False

    @cached_property
    def for_this_clock(self) -> Scenario:
        """The scenario as its file has it where time is real, or where it is not."""
        return self.scenario.in_real_time() if self.real_time else self.scenario

    @property
    def shortened(self) -> str:
        """How the file shortens it for real time; empty: it was not shortened."""
        return self.scenario.real_time.description if self.real_time and self.scenario.real_time is not None else ""

    @cached_property
    def stories(self) -> dict[str, Story]:
        """What is played: the story of each variant, by its name."""
        return {variant: self.overrides.applied_to(story) for variant, story in self.for_this_clock.stories.items()}

    @property
    def wakes(self) -> tuple[WakeProfile, ...]:
        """Every wake that is played."""
        return self.overrides.wakes_for(self.for_this_clock)

    @cached_property
    def pools(self) -> tuple[PoolConfiguration, ...]:
        """Every pool that is played, once each."""
        found: dict[PoolConfiguration, PoolConfiguration] = {}
        for _, pool in self._chosen_pools:
            found.setdefault(pool.resolved, pool)
        return tuple(found.values())

    @cached_property
    def trials(self) -> list[Trial]:
        """For each seed, pool and variant a trial for each wake, and the control they are compared with."""
        overrides = self.overrides
        self._check_size()
        controlled = overrides.control and self.for_this_clock.control and any(wake.can_sleep for wake in self.wakes)
        cells = [
            (pool, variant, wake, seed)
            for seed in range(overrides.seed, overrides.seed + overrides.repeat)
            for pool in self.pools
            for variant in self.stories
            for wake in (*self.wakes, *([None] if controlled else []))
        ]
        return [
            self.trial(number=number, variant=variant, pool=pool, wake=wake, seed=seed)
            for number, (pool, variant, wake, seed) in enumerate(cells)
        ]

    def _check_size(self) -> None:
        """Raise `UserError` when there would be too many trials, or requests, before any of them is made."""
        cells = self.overrides.repeat * len(self.pools) * len(self.wakes)
        trials = cells * len(self.stories)
        requests = cells * sum(burst.requests for story in self.stories.values() for burst in story.bursts)
        fewer = "fewer pools, wakes or seeds"
        if trials > MOST_TRIALS:
            raise UserError(f"these are {trials} trials", where="run", allowed=f"up to {MOST_TRIALS}: {fewer}")
        if requests > MOST_REQUESTS_OF_A_RUN:
            allowed = f"up to {MOST_REQUESTS_OF_A_RUN}: {fewer}, or a smaller burst"
            raise UserError(f"these are {requests} requests in all trials", where="run", allowed=allowed)

    def trial(
        self, *, number: int, variant: str, pool: PoolConfiguration, wake: WakeProfile | None, seed: int
    ) -> Trial:
        """One trial of this plan."""
        return Trial(number=number, story=self.stories[variant], variant=variant, pool=pool, wake=wake, seed=seed)

    def times(self, story: Story) -> Times:
        """How long things take in the simulated database: what was given, else what was measured, else the story's."""
        calibration = self.overrides.calibration
        given_s = {"service": story.service_time_s, "connect": story.connect_time_s}
        times = Times() if calibration is None else calibration.times()
        return replace(times, **{name: Constant(seconds) for name, seconds in given_s.items() if seconds is not None})

    # What of it is the file's own:

    @property
    def expectations(self) -> list[tuple[PoolConfiguration, Expectation]]:
        """What the file expects, each with its pool."""
        return self.for_this_clock.expectations

    @cached_property
    def file_pools(self) -> frozenset[PoolConfiguration]:
        """What the pools that the file compares or expects something of resolve to."""
        named = (*self.for_this_clock.pool_configurations, *(pool for pool, _ in self.expectations))
        return frozenset(pool.resolved for pool in named)

    def is_the_files_own(self, trial: Trial) -> bool:
        """Whether this trial is one that the file itself has, whatever its seed."""
        return (
            trial.variant in self._unchanged_variants
            and trial.pool.resolved in self.file_pools
            and (trial.wake is None or trial.wake in self.for_this_clock.wakes)
        )

    def pool_in_the_file(self, pool: PoolConfiguration) -> PoolConfiguration | None:
        """The file's pool that a played one was before its settings were changed; None: the file has none."""
        return self._origins.get(pool.resolved)

    @cached_property
    def _origins(self) -> dict[PoolConfiguration, PoolConfiguration]:
        """The file's pool for each played one that was made of one."""
        chosen = [(before.resolved, played.resolved) for before, played in self._chosen_pools]
        return {played: before for before, played in reversed(chosen) if before in self.file_pools}

    @cached_property
    def _unchanged_variants(self) -> frozenset[str]:
        """The variants whose story is played as the file has it, whatever the wakes are."""
        if self.overrides.calibration is not None:
            return frozenset()
        of_the_file = self.for_this_clock.stories
        return frozenset(
            name
            for name, story in self.stories.items()
            if replace(story, wake=of_the_file[name].wake) == of_the_file[name]
        )

    @cached_property
    def changes(self) -> tuple[str, ...]:
        """Everything a user changed that makes trials which the file does not have, in words."""
        found = [text for text, overrides in self.overrides.one_by_one() if self._differs(overrides)]
        return (*found, *self._foreign_pools())

    def _differs(self, overrides: Overrides) -> bool:
        alone = replace(self, overrides=overrides)
        return any(not alone.is_the_files_own(trial) for trial in alone.trials)

    def _foreign_pools(self) -> list[str]:
        foreign = [pool for pool in self.overrides.pools if pool.resolved not in self.file_pools]
        if len(foreign) > POOLS_NAMED:
            return [f"{len(foreign)} pools of its own"]
        return [f"pool={pool.label}" for pool in foreign]

    @cached_property
    def _chosen_pools(self) -> list[tuple[PoolConfiguration, PoolConfiguration]]:
        """Each chosen pool, and what the changed settings make of it."""
        chosen = self.overrides.pools or self.for_this_clock.pool_configurations
        return [(pool, pool.with_settings(self.overrides.settings)) for pool in chosen]
