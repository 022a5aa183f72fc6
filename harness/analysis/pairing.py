"""Which trials of two runs, or of one, are laid side by side: those that differ in nothing but what is asked about."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from harness.analysis.labels import CONTROL, wake_name
from harness.analysis.load import Run
from harness.model.errors import UserError
from harness.model.trial import Trial

Key = TypeVar("Key", bound=Hashable)
Keys: TypeAlias = list[tuple[Key, Key]]
MAX_LISTED = 8
"""How many choices an error lists."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two trials, with its run."""

    run: Run
    trial: Trial

    @property
    def is_virtual(self) -> bool:
        return self.run.manifest.stack == "simulated"

    @property
    def was_cut_short(self) -> bool:
        recorded = {one.number: one for one in self.run.manifest.trials}
        return recorded[self.trial.number].wall_s is None

    def __str__(self) -> str:
        return f"{self.trial.configuration}, {wake_name(self.trial)}, seed {self.trial.seed}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two trials side by side."""

    a: Side
    b: Side


def pairs(
    a: Run, b: Run | None, *, pools: Sequence[str] = (), wakes: Sequence[str] = (), seeds: Sequence[int] = ()
) -> list[Pair]:
    """The trials with the same configuration, wake and seed in both runs; each can be given, once for both or twice.

    Of what both runs have in common in none of their trials, such as a setting that was changed between them, the only
    one of each is taken. `b` None: both trials are of the run `a`. Raises `UserError` where it is not clear which
    trials are meant.
    """
    one_run = b is None
    other = a if b is None else b
    mine, theirs = _played(a), _played(other)
    given = {"--pool": pools, "--wake": wakes, "--seed": seeds}
    for option, values in given.items():
        if len(values) > 2:
            raise UserError(f"is given {len(values)} times", where=option, allowed="once for both trials, or twice")
    if one_run and not any(len(values) == 2 for values in given.values()):
        pools = _the_only_two(mine, pools)
    found = [
        Pair(Side(a, first), Side(other, second))
        for configurations in _configurations(mine, theirs, pools)
        for wake in _wakes(mine, theirs, wakes)
        for seed in _seeds(mine, theirs, seeds)
        for first in mine
        if (first.configuration, wake_name(first), first.seed) == (configurations[0], wake[0], seed[0])
        for second in theirs
        if (second.configuration, wake_name(second), second.seed) == (configurations[1], wake[1], seed[1])
    ]
    if not found:
        raise UserError("no trial of one has its like in the other", where="diff", allowed="--pool, --wake or --seed")
    return sorted(found, key=lambda pair: (pair.a.trial.is_control, pair.a.trial.number, pair.b.trial.number))


def _played(run: Run) -> list[Trial]:
    """The trials that were begun."""
    begun = set(run.tables["requests"]["trial"].to_pylist())
    trials = [trial for trial in run.trials if trial.number in begun]
    if not trials:
        raise UserError("has no request of any trial", where=str(run.folder), allowed="a run that measured something")
    return trials


def _the_only_two(trials: Sequence[Trial], pools: Sequence[str]) -> Sequence[str]:
    configurations = _distinct(trials, lambda trial: trial.configuration)
    if len(pools) == 1 or len(configurations) != 2:
        allowed = f"a second run, or --pool twice: {_listed(configurations)}"
        raise UserError("is one run, and two trials are to be compared", where="diff", allowed=allowed)
    return configurations


def _configurations(mine: Sequence[Trial], theirs: Sequence[Trial], given: Sequence[str]) -> Keys[str]:
    def key(trial: Trial) -> str:
        return trial.configuration

    if given:
        chosen = [_named(text, trials) for text, trials in zip(_both(given), (mine, theirs), strict=True)]
        return [(chosen[0], chosen[1])]
    common = _common(mine, theirs, key)
    if common:
        return common
    # Where a setting was changed for all pools, those of one size belong together.
    sizes = [
        (first.configuration, second.configuration)
        for first in mine
        for second in theirs
        if (first.pool.short, first.variant) == (second.pool.short, second.variant)
    ]
    if sizes and len({first for first, _ in sizes}) == len({second for _, second in sizes}) == len(set(sizes)):
        return list(dict.fromkeys(sizes))
    return [_only(mine, theirs, key, "configuration", "--pool, twice")]


def _named(text: str, trials: Sequence[Trial]) -> str:
    """The configuration that a text names: in full, or by its size where only one has it."""
    configurations = _distinct(trials, lambda trial: trial.configuration)
    wanted = " ".join(text.replace(",", " ").split())
    if wanted in configurations:
        return wanted
    sizes = _distinct([trial for trial in trials if trial.pool.short == wanted], lambda trial: trial.configuration)
    if len(sizes) != 1:
        what = "the run has no such configuration" if not sizes else f"is the size of {len(sizes)} configurations"
        raise UserError(what, where=f"--pool {text}", allowed=_listed(sizes or configurations))
    return sizes[0]


def _wakes(mine: Sequence[Trial], theirs: Sequence[Trial], given: Sequence[str]) -> Keys[str]:
    if given:
        chosen = [_wake(text, trials) for text, trials in zip(_both(given), (mine, theirs), strict=True)]
        return [(chosen[0], chosen[1])]
    common = _common(mine, theirs, wake_name)
    if common and common != [(CONTROL, CONTROL)]:
        return common
    asleep = [[trial for trial in trials if not trial.is_control] for trials in (mine, theirs)]
    if not all(asleep):
        # One of them has controls alone.
        return common or [_only(mine, theirs, wake_name, "wake", "--wake, twice")]
    return [_only(asleep[0], asleep[1], wake_name, "wake", "--wake, twice"), *common]


def _wake(text: str, trials: Sequence[Trial]) -> str:
    """The wake that a text names: its seconds, `awake`, or its name in full."""
    names = _distinct(trials, wake_name)
    seconds = text.removesuffix("s").strip()
    found = [
        name
        for name in names
        if name in (text, f"wake {text}", f"wake {seconds} s") or (name == CONTROL and text == "awake")
    ]
    if not found:
        raise UserError("the run has no such wake", where=f"--wake {text}", allowed=_listed(names))
    return found[0]


def _seeds(mine: Sequence[Trial], theirs: Sequence[Trial], given: Sequence[int]) -> Keys[int]:
    def key(trial: Trial) -> int:
        return trial.seed

    for seed, trials in zip(_both(given), (mine, theirs), strict=False):
        if seed not in (seeds := _distinct(trials, key)):
            raise UserError("the run has no such seed", where=f"--seed {seed}", allowed=_listed(list(map(str, seeds))))
    if given:
        first, second = _both(given)
        return [(first, second)]
    return _common(mine, theirs, key) or [_only(mine, theirs, key, "seed", "--seed, twice")]


def _common(mine: Sequence[Trial], theirs: Sequence[Trial], key: Callable[[Trial], Key]) -> Keys[Key]:
    others = set(map(key, theirs))
    return [(value, value) for value in _distinct(mine, key) if value in others]


def _only(
    mine: Sequence[Trial], theirs: Sequence[Trial], key: Callable[[Trial], Key], what: str, allowed: str
) -> tuple[Key, Key]:
    """The only one of each. Raises `UserError` where there are several."""
    one, other = _distinct(mine, key), _distinct(theirs, key)
    if len(one) > 1 or len(other) > 1:
        named = f"{_listed(list(map(str, one)))}; and {_listed(list(map(str, other)))}"
        raise UserError(f"the runs have no {what} in common", where="diff", allowed=f"{allowed}: {named}")
    return one[0], other[0]


def _both(given: Sequence[Key]) -> Sequence[Key]:
    return [*given, *given][:2] if len(given) == 1 else given


def _distinct(trials: Sequence[Trial], key: Callable[[Trial], Key]) -> list[Key]:
    return list(dict.fromkeys(map(key, trials)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
