"""The command that answers what a run leaves open: what to set, and how long a wake that survives.

Everything that the run was told is filled in: the scenario, its longest wake, the times of its database, and what a
user changed. What is only in the command line, such as the path of a file, is taken from there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness.analysis.columns import chosen, is_word, non_empty, numbers
from harness.analysis.load import Run
from harness.model.distribution import Constant
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.visible import command_line
from harness.model.wake import WakeProfile

OBJECTIVE = "failed<1%"
CALIBRATION = "results/calibration.json"
"""Where `coldstart calibrate` writes unless told otherwise."""
OF_AN_APPLICATION = ("--app", "--python", "--app-dir", "--env", "--requests-file", "--init", "--prepare")
"""Options of a run that `coldstart record` has too."""
IN_VIRTUAL_TIME = ("--recording", "--stub")


def next_commands(run: Run) -> tuple[str, ...]:
    """The commands, one after another, to type as they are; none for an application that runs already."""
    application = run.plan.overrides.application
    if application is not None and application.target is not None:
        return ()
    argv = _argv(run)
    scenario = _scenario(run)
    longest = _longest_wake(run)
    if longest is None:
        # A database that never sleeps: there is no wake to survive, and a grid shows what decides.
        return (command_line(["coldstart", "sweep", scenario, *_story(run), *_times(run)[1], *_application(argv)]),)
    before, times = _times(run)
    wake = [*_wake(run, longest), *_story(run), *_today(run)]
    asked = ["coldstart", "recommend", scenario, "--slo", OBJECTIVE, *wake, *times, *_application(argv)]
    return (*(command_line(words) for words in before), command_line(asked))


def pool_text(pool: PoolConfiguration) -> str:
    """A pool as `--pool` takes it, without its name."""
    return pool.label.replace(" ", ",")


def _argv(run: Run) -> Sequence[str]:
    """The command line of the run; empty where another program made it."""
    argv = run.manifest.argv
    return argv if argv[:1] in (["run"], ["sweep"]) else []


def _scenario(run: Run) -> str:
    """The scenario as it was given: its name, or the path of its file."""
    name = run.scenario.name
    given = (word for word in _argv(run)[1:] if word == name or Path(word).suffix == ".py")
    return next(given, name)


def _longest_wake(run: Run) -> WakeProfile | None:
    """The wake of the run's longest latency; None: the database never sleeps."""
    asleep = [trial for trial in run.trials if trial.wake is not None and trial.wake.can_sleep]
    return max(asleep, key=lambda trial: trial.wake_latency_s or 0.0).wake if asleep else None


def _wake(run: Run, longest: WakeProfile) -> Iterator[str]:
    """The wake, and how it behaves where that is not what the scenario's first wake does."""
    own = next(iter(run.plan.for_this_clock.stories.values())).wakes[0]
    for choice in run.plan.overrides.wakes:
        if choice.applied_to(own).latency == longest.latency:
            yield from ("--wake", choice.text)
            own = choice.applied_to(own)
            break
    else:
        if isinstance(longest.latency, Constant):
            yield from ("--wake", f"{longest.latency.latency_s:g}")
    if longest.on_suspend is not own.on_suspend:
        yield from ("--on-suspend", longest.on_suspend.value)
    if longest.while_waking is not own.while_waking:
        yield from ("--while-waking", longest.while_waking.value)


def _story(run: Run) -> Iterator[str]:
    overrides = run.plan.overrides
    given = {"--requests": overrides.requests, "--over": overrides.over_s, "--arrivals": overrides.arrivals,
             "--warm": overrides.warm}  # fmt: skip
    for option, value in given.items():
        if value is not None:
            yield from (option, f"{value:g}" if isinstance(value, float) else str(value))
    if overrides.kernel is not None:
        yield from ("--kernel", overrides.kernel.name)


def _today(run: Run) -> Iterator[str]:
    """The run's first pool stands for what is set today, where the user chose the pools."""
    if run.plan.overrides.pools or run.plan.overrides.settings:
        yield from ("--pool", pool_text(run.plan.pools[0]))


def _times(run: Run) -> tuple[list[list[str]], list[str]]:
    """How long a statement and a connect take: commands to find out, and the options that say it."""
    argv, application = _argv(run), run.plan.overrides.application
    if application is not None:
        if application.recording is not None:
            return [], []
        return [["coldstart", "record", *_kept(argv, OF_AN_APPLICATION)]], []
    if calibration := list(_kept(argv, ("--calibration",))):
        return [], calibration
    known = _known(run)
    if None in known.values():
        return [["coldstart", "calibrate"]], ["--calibration", CALIBRATION]
    story = next(iter(run.plan.for_this_clock.stories.values()))
    in_the_file = {"--service-time": story.service_time_s, "--connect-time": story.connect_time_s}
    given = {option: value for option, value in known.items() if value is not None and value != in_the_file[option]}
    return [], [word for option, value in given.items() for word in (option, f"{value:.3g}")]


def _known(run: Run) -> dict[str, float | None]:
    """The times of the database: given or, of a real one, measured; None: not known."""
    story = next(iter(run.plan.stories.values()))
    known = {"--service-time": (story.service_time_s, "query_s"), "--connect-time": (story.connect_time_s, "connect_s")}
    if story.connect_cost is not None:
        del known["--connect-time"]
    in_virtual_time = run.manifest.stack == "simulated"
    return {
        option: _measured(run, column) if given_s is None and not in_virtual_time else given_s
        for option, (given_s, column) in known.items()
    }


def _measured(run: Run, column: str) -> float | None:
    """The median of a time while the database was awake and the pool calm, of the requests that ended ok."""
    values = []
    for summary in run.summaries:
        calm_s = 0.0 if summary.trial.is_control else summary.recovered_after_s
        if calm_s is not None:
            rows = run.rows(summary.trial, "requests")
            calm = is_word(rows["outcome"], Outcome.OK) & (numbers(rows, "arrival_s") > calm_s)
            values.append(non_empty(chosen(rows, calm), column))
    every = np.concatenate(values) if values else np.empty(0)
    # 0: the request had a connection already.
    took = every[every > 0]
    return float(np.median(took)) if took.size else None


def _application(argv: Sequence[str]) -> Iterator[str]:
    yield from _kept(argv, (*OF_AN_APPLICATION, *IN_VIRTUAL_TIME))
    if "--cpu" in argv:
        yield "--cpu"


def _kept(argv: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """These options of a command line, with their values: `--app main:app`, `--app=main:app`."""
    for place, word in enumerate(argv):
        if word in options:
            yield from argv[place : place + 2]
        elif word.partition("=")[0] in options and "=" in word:
            yield word
