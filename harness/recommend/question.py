"""What is asked: the story with its wake's distribution, the objectives, and what may be changed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.model.application import Application
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.distribution import Constant, Duration, Empirical
from harness.model.errors import UserError
from harness.model.objective import Objectives
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.trial import Trial
from harness.model.wake import WakeProfile
from harness.recommend.space import Budget, Space
from harness.search.playing import at_wake

TIMES_ALLOWED = (
    "--service-time and --connect-time, or --calibration FILE, which `coldstart calibrate --out FILE` measures"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a recommendation depends on."""

    plan: PlannedRun
    wake: WakeProfile
    """The wake, with its distribution."""
    objectives: Objectives
    space: Space
    share: float
    """The share of the wakes that a recommendation must survive, from 0 to 1."""
    seeds: tuple[int, ...]
    """The arrival sequences that each candidate meets."""
    budget: Budget | None
    today: PoolConfiguration
    """What is set now: an env file's configuration, else the scenario's first."""

    @property
    def application(self) -> Application | None:
        """The user's own, where it is one's."""
        return self.plan.overrides.application

    @property
    def upper_s(self) -> float:
        """The wake that each candidate meets: its quantile of `share`."""
        return self.wake.latency.quantile(self.share)

    @property
    def lower_s(self) -> float:
        """A wake that almost every one is longer than."""
        return self.wake.latency.quantile(1 - self.share)

    @property
    def waits_out_the_wake(self) -> bool:
        """Whether a new connection gets through only when the wake is over, and no open one does before.

        Then no timeout below the wake can be enough, and need not be tried.
        """
        waits = self.wake.while_waking in (WhileWaking.HOLD, WhileWaking.DROP)
        return waits and self.wake.on_suspend in (OnSuspend.CLOSE, OnSuspend.TERMINATE, OnSuspend.RESET)

    def trials(self, pool: PoolConfiguration, wake_s: float | None, seed: int) -> Iterator[Trial]:
        """A trial for each variant of the story; without a wake the database is awake."""
        wake = None if wake_s is None else at_wake(self.wake, wake_s)
        for number, variant in enumerate(self.plan.stories):
            yield self.plan.trial(number=number, variant=variant, pool=pool, wake=wake, seed=seed)


def the_wake(plan: PlannedRun) -> WakeProfile:
    """The plan's wake as one distribution. Raises `UserError` where it has several that behave differently."""
    wakes = plan.wakes
    first = wakes[0]
    if not first.can_sleep:
        raise UserError(
            "a database that never sleeps has no wake to survive", where=f"wake {first.name}", allowed="--wake"
        )
    if len(wakes) == 1:
        return first
    alike = {replace(wake, latency=Constant(0.0)) for wake in wakes}
    constant = [wake.latency.latency_s for wake in wakes if isinstance(wake.latency, Constant)]
    if len(alike) > 1 or len(constant) < len(wakes):
        raise UserError(
            f"the story has {len(wakes)} different wakes, and a recommendation is for one",
            where="recommend",
            allowed="--wake, once",
        )
    latency: Duration = Empirical(tuple(constant))
    return replace(first, latency=latency)


def check_times(plan: PlannedRun) -> None:
    """Raise `UserError` where the simulated database would answer at once: then the smallest pool always wins."""
    if plan.overrides.application is not None or plan.overrides.calibration is not None:
        return
    for story in plan.stories.values():
        if story.service_time_s is None or (story.connect_time_s is None and story.connect_cost is None):
            what = "a statement" if story.service_time_s is None else "a connect"
            raise UserError(
                f"how long {what} takes is not known, and without it the smallest pool always wins",
                where=f"scenario {story.name}",
                allowed=TIMES_ALLOWED,
            )


def arrivals_depend_on_the_seed(plan: PlannedRun, pool: PoolConfiguration, wake: WakeProfile, seed: int) -> bool:
    """Whether another seed brings other arrivals."""

    def arrivals(number: int) -> list[object]:
        trials = (plan.trial(number=0, variant=name, pool=pool, wake=wake, seed=number) for name in plan.stories)
        return [trial.arrivals() for trial in trials]

    return arrivals(seed) != arrivals(seed + 1)
