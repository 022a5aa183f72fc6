"""What is played: a scenario as in its file, the user's changes, and both together.

This module alone decides which change takes precedence. A variant changes the scenario's story; the user's changes are
applied after that, so they hold in every variant. Judging, the manifest, the report and the postmortem use the plan.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.model.application import Application
from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.distribution import Constant
from harness.model.errors import UserError
from harness.model.expectation import Expectation
from harness.model.kernel import LINUX_6_5, Kernel
from harness.model.limits import LARGEST_SEED, MAX_REQUESTS_OF_A_RUN, MAX_TRIALS, check_number, check_whole
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario, once_each
from harness.model.story import OnDisconnect, Story
from harness.model.timeline import Burst, TimelinePhase, Traffic, Warm
from harness.model.times import Calibration, Times
from harness.model.trial import Trial
from harness.model.wake import WakeChoice, WakeProfile

POOLS_NAMED = 3
"""How many pools that the file does not have are listed by name; of more only the number is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """The user's changes on the command line; where a field is None or empty, the scenario's value is used.

    Raises `UserError` on construction when a value can't be meant.
    """

    pools: tuple[PoolConfiguration, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Settings of every pool, by their names in `--set`, as text."""
    wakes: tuple[WakeChoice, ...] = ()
    on_suspend: OnSuspend | None = None
    while_waking: WhileWaking | None = None
    requests: int | None = None
    """For every burst, like `over_s` and `arrivals`."""
    over_s: float | None = None
    arrivals: Pattern | None = None
    warm: int | None = None
    """Connections of every warm phase; a timeline without a warm phase gets one at its beginning."""
    alert_sustained_s: float | None = None
    service_time_s: float | None = None
    connect_time_s: float | None = None
    calibration: Calibration | None = None
    """Measured times of the simulated database; the two fields above replace them where given."""
    kernel: Kernel | None = None
    """The clients' kernel in virtual time; None: `LINUX_6_5`, on any machine, so that rows are the same on any."""
    application: Application | None = None
    """The user's own application in place of the service under test; None: the service itself."""
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
        check_whole("repeat", self.repeat, where="run", least=1, most=MAX_TRIALS)
        # Try the settings, so that a wrong name or value is refused before anything is played.
        PoolConfiguration().with_settings(self.settings)

    def applied_to(self, story: Story) -> Story:
        """The story with the user's changes."""
        times_s: dict[str, Any] = {"service_time_s": self.service_time_s, "connect_time_s": self.connect_time_s}
        if self.calibration is None:
            # Without a calibration the scenario's times are kept.
            times_s = {name: seconds for name, seconds in times_s.items() if seconds is not None}
        if self.alert_sustained_s is not None:
            story = replace(story, alert_sustained_s=self.alert_sustained_s)
        if self.application is not None:
            # What the service under test does beside its requests, and with a request whose client has gone.
            story = replace(story, listener=None, on_disconnect=OnDisconnect.FINISH)
        return replace(story, wake=self.wakes_for(story), timeline=tuple(self._timeline(story)), **times_s)

    def wakes_for(self, story: Story) -> tuple[WakeProfile, ...]:
        """Each wake once. What a chosen wake does not state is taken from the story's first wake."""
        chosen = tuple(choice.applied_to(story.wakes[0]) for choice in self.wakes) or story.wakes
        behaved = (wake.with_changes(on_suspend=self.on_suspend, while_waking=self.while_waking) for wake in chosen)
        return tuple(dict.fromkeys(behaved))

    def _timeline(self, story: Story) -> Iterator[TimelinePhase]:
        given = {"requests": self.requests, "over_s": self.over_s, "arrivals": self.arrivals}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

        def changed(burst: Burst) -> Burst:
            # Listed moments fit only the file's own numbers; with others, arrivals are a Poisson process.
            unnamed: dict[str, Any] = (
                {"given_s": (), "given_requests": (), "arrivals": Pattern.POISSON} if burst.given_s and changes else {}
            )
            if self.application is not None:
                unnamed |= {"mix": self.application.mix, "given_requests": ()}
            return replace(burst, **{**unnamed, **changes})

        if self.warm is not None and not any(isinstance(phase, Warm) for phase in story.timeline):
            yield Warm(self.warm)
        for phase in story.timeline:
            if isinstance(phase, Burst):
                yield changed(phase)
            elif isinstance(phase, Traffic):
                yield phase.with_bursts(changed)
            elif isinstance(phase, Warm) and self.warm is not None:
                yield Warm(self.warm)
            else:
                yield phase

    def one_by_one(self) -> Iterator[tuple[str, "Overrides"]]:
        """Each single change to the story, as text (name and value) and as overrides."""
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
        if self.kernel is not None:
            yield f"kernel={self.kernel.name}", Overrides(kernel=self.kernel)
        if self.application is not None:
            yield f"application={self.application.name}", Overrides(application=self.application)
        for name, text in self.settings.items():
            yield f"{name}={text}", Overrides(settings={name: text})


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A scenario, the user's changes, and whether time is real: everything that determines a run's trials."""

    scenario: Scenario
    """The scenario as in its file."""
    overrides: Overrides = field(default_factory=Overrides)
    real_time: bool = False

    @cached_property
    def for_this_clock(self) -> Scenario:
        """The file's scenario, in its version for real time where time is real."""
        return self.scenario.in_real_time() if self.real_time else self.scenario

    @property
    def title(self) -> str:
        """The scenario's name, and whose application it is played with: `cold_burst with main:app`."""
        application = self.overrides.application
        return self.scenario.name if application is None else f"{self.scenario.name} with {application.name}"

    @property
    def shortened(self) -> str:
        """How the scenario was shortened for real time, in words; empty: it was not."""
        return self.scenario.real_time.description if self.real_time and self.scenario.real_time is not None else ""

    @cached_property
    def stories(self) -> dict[str, Story]:
        """The story that is played, for each variant by name."""
        return {variant: self.overrides.applied_to(story) for variant, story in self.for_this_clock.stories.items()}

    @property
    def wakes(self) -> tuple[WakeProfile, ...]:
        """Every wake that is played."""
        return self.overrides.wakes_for(self.for_this_clock)

    @cached_property
    def pools(self) -> tuple[PoolConfiguration, ...]:
        """Every pool that is played, once each. Raises `UserError` for names that are not one each."""
        return once_each((pool for _, pool in self._chosen_pools), where="run")

    @cached_property
    def trials(self) -> list[Trial]:
        """For each seed, pool and variant: a trial for each wake, and a control."""
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
        """Raise `UserError` when there would be too many trials or requests, before they are created."""
        cells = self.overrides.repeat * len(self.pools) * len(self.wakes)
        trials = cells * len(self.stories)
        requests = cells * sum(burst.requests for story in self.stories.values() for burst in story.bursts)
        fewer = "fewer pools, wakes or seeds"
        if trials > MAX_TRIALS:
            raise UserError(f"these are {trials} trials", where="run", allowed=f"up to {MAX_TRIALS}: {fewer}")
        if requests > MAX_REQUESTS_OF_A_RUN:
            allowed = f"up to {MAX_REQUESTS_OF_A_RUN}: {fewer}, or a smaller burst"
            raise UserError(f"these are {requests} requests in all trials", where="run", allowed=allowed)

    def trial(
        self, *, number: int, variant: str, pool: PoolConfiguration, wake: WakeProfile | None, seed: int
    ) -> Trial:
        """One trial of this plan."""
        return Trial(number=number, story=self.stories[variant], variant=variant, pool=pool, wake=wake, seed=seed)

    def times(self, story: Story) -> Times:
        """The times of the simulated database: those that the story gives, else measured ones, else 0."""
        calibration = self.overrides.calibration
        given_s = {"service": story.service_time_s, "connect": story.connect_time_s}
        times = Times() if calibration is None else calibration.times()
        changes: dict[str, Any] = {name: Constant(seconds) for name, seconds in given_s.items() if seconds is not None}
        return replace(times, kernel=self.kernel, **changes)

    @property
    def kernel(self) -> Kernel:
        """The clients' kernel in virtual time."""
        return LINUX_6_5 if self.overrides.kernel is None else self.overrides.kernel

    # Which parts of the plan are the file's own:

    @property
    def expectations(self) -> list[tuple[PoolConfiguration, Expectation]]:
        """The file's expectations, each with its pool; it has none of a user's own application."""
        return [] if self.overrides.application is not None else self.for_this_clock.expectations

    @cached_property
    def file_pools(self) -> frozenset[PoolConfiguration]:
        """The resolved configurations of all pools that the file compares or has an expectation of."""
        named = (*self.for_this_clock.pool_configurations, *(pool for pool, _ in self.expectations))
        return frozenset(pool.resolved for pool in named)

    def is_the_files_own(self, trial: Trial) -> bool:
        """Whether the file itself has this trial, with any seed."""
        return (
            trial.variant in self._unchanged_variants
            and trial.pool.resolved in self.file_pools
            and (trial.wake is None or trial.wake in self.for_this_clock.wakes)
        )

    def pool_in_the_file(self, pool: PoolConfiguration) -> PoolConfiguration | None:
        """The file's pool from which a played one was made by changing settings; None: there is none."""
        return self._origins.get(pool.resolved)

    @cached_property
    def _origins(self) -> dict[PoolConfiguration, PoolConfiguration]:
        """The file's pool for each played pool that was made from one."""
        chosen = [(before.resolved, played.resolved) for before, played in self._chosen_pools]
        return {played: before for before, played in reversed(chosen) if before in self.file_pools}

    @cached_property
    def _unchanged_variants(self) -> frozenset[str]:
        """The variants whose story is played as in the file; their wakes may differ."""
        if self.overrides.calibration is not None or self.kernel != LINUX_6_5:
            return frozenset()
        of_the_file = self.for_this_clock.stories
        return frozenset(
            name
            for name, story in self.stories.items()
            if replace(story, wake=of_the_file[name].wake) == of_the_file[name]
        )

    @cached_property
    def changes(self) -> tuple[str, ...]:
        """The user's changes that lead to trials which the file does not have, in words."""
        changed = [text for text, overrides in self.overrides.one_by_one() if self._differs(overrides)]
        return (*changed, *self._foreign_pools())

    def _differs(self, overrides: Overrides) -> bool:
        alone = replace(self, overrides=overrides)
        if not all(pool.accepts(overrides.settings) for pool in self.for_this_clock.pool_configurations):
            # It is possible only together with the other changes: the file can't have these trials.
            return True
        return any(not alone.is_the_files_own(trial) for trial in alone.trials)

    def _foreign_pools(self) -> list[str]:
        foreign = [pool for pool in self.overrides.pools if pool.resolved not in self.file_pools]
        if len(foreign) > POOLS_NAMED:
            return [f"{len(foreign)} pools of its own"]
        return [f"pool={pool.label}" for pool in foreign]

    @cached_property
    def _chosen_pools(self) -> list[tuple[PoolConfiguration, PoolConfiguration]]:
        """Each chosen pool, without and with the changed settings."""
        chosen = self.overrides.pools or self.for_this_clock.pool_configurations
        played = [pool.with_settings(self.overrides.settings) for pool in chosen]
        if self.overrides.pools:
            # A name in the file is of the settings beside it; the user gave this one together with the change.
            played = [replace(changed, name=pool.name) for pool, changed in zip(chosen, played, strict=True)]
        return list(zip(chosen, played, strict=True))
