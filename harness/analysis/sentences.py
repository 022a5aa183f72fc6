"""The parts of the sentences about numbers; they handle ties, a single configuration, none and all.

The terms, everywhere: a request *fails* when it does not end ok. A configuration is compared with another on
the same arrivals: a request is *saved* when it fails with the first and is ok with the other, *lost* in the opposite
case. A *configuration* is a pool's settings, and the story's variant where there are several.

Where the story has a patience, a request is *answered within X s* when it ends ok in that time of its arrival;
sentences about success, and about what is saved and lost, count these.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

MAX_LISTED = 6
"""A sentence with more names than this is too long to read."""
MAX_IN_TITLE = 2


def listed(texts: Sequence[str], *, most: int | None = None) -> str:
    """`a`, `a and b`, `a, b and c`; of more than `most` texts the first, and how many more there are."""
    if not texts:
        return "none"
    if most is not None and len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def either(texts: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    if len(texts) < 2:
        return listed(texts)
    return f"{', '.join(texts[:-1])} or {texts[-1]}"


def percent(share: float) -> str:
    """`2.5%`; 0% and 100% only for exactly none and exactly all."""
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return "under 0.1%" if share < 0.0005 else "over 99.9%" if share >= 0.9995 else f"{share:.1%}"


def seconds(value: float | None) -> str:
    """`8.0 s`, or `80 ms` below a tenth of a second; `–` for no value."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value * 1000:.0f} ms" if abs(value) < 0.0995 else f"{value:.1f} s"


def span(values: Iterable[float], *, show: Callable[[float], str] = seconds) -> str:
    """`8.0 s`, or `8.0 to 8.6 s` where the shown values differ. The values are durations, 0 or longer."""
    least, most = (show(choose(values)) for values in [list(values)] for choose in (min, max))
    if least == most:
        return most
    value, _, unit = least.rpartition(" ")
    return f"{value if most.endswith(f' {unit}') else least} to {most}"


def plural(count: int, noun: str, several: str = "") -> str:
    """`1 seed`, `2 seeds`; `several` is for a noun with another plural: `2 stories`."""
    return f"{count} {noun}" if count == 1 else f"{count} {several or f'{noun}s'}"


@dataclass(frozen=True, slots=True)
class Failures:
    """How many of a configuration's requests fail."""

    failed: int
    requests: int

    @property
    def share(self) -> float:
        """The share of the requests that fail; 0 of no request."""
        return self.failed / self.requests if self.requests else 0.0

    def __str__(self) -> str:
        """`5 of 200 (2.5%)`."""
        return f"{self.failed} of {self.requests} ({percent(self.share)})"

    def __add__(self, other: "Failures") -> "Failures":
        return Failures(self.failed + other.failed, self.requests + other.requests)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The names with the least and with the most of something, all of them in a tie."""

    least: float
    lowest: list[str]
    most: float
    highest: list[str]

    @property
    def all_alike(self) -> bool:
        return self.least == self.most


def ranking(values: Mapping[str, float]) -> Ranking:
    """The names with the least and with the most; `values` must not be empty."""
    least, most = min(values.values()), max(values.values())
    return Ranking(
        least=least, lowest=[name for name, value in values.items() if value == least],
        most=most, highest=[name for name, value in values.items() if value == most],
    )  # fmt: skip


def met_all(failures: Mapping[str, Failures]) -> dict[str, Failures]:
    """The configurations with the full number of requests: those can be compared when a run was cut short."""
    most = max((counts.requests for counts in failures.values()), default=0)
    return {name: counts for name, counts in failures.items() if counts.requests == most}


def who_fails(
    failures: Mapping[str, Failures], capacities: Mapping[str, int] | None = None, *, title: bool = False
) -> str:
    """A clause that says with which configurations requests fail, and how many.

    With `capacities` it also names the smallest pool of several with no failure. A `title` has fewer words and names.
    """
    most = MAX_IN_TITLE if title else MAX_LISTED
    if not any(counts.requests for counts in failures.values()):
        return "no request has ended"
    found = ranking({name: counts.share for name, counts in failures.items()})
    if len(failures) == 1:
        ((name, only),) = failures.items()
        return f"no request fails with {name}" if not only.failed else f"{only} requests fail with {name}"
    if found.most == 0:
        return "no request fails"
    if found.least == 1:
        return "every request fails, with every configuration"
    if found.all_alike:
        return f"as many requests fail with every configuration: {_each(failures, found.lowest)}"

    named = partial(_named, of=len(failures), most=most)
    highest = f"with {named(found.highest)}: {_each(failures, found.highest)}"
    if len(found.lowest) + len(found.highest) < len(failures) or found.least > 0:
        highest = f"most {highest}"
    if found.least == 0:
        return (
            f"no request fails with {named(found.lowest)}{_smallest(found.lowest, capacities or {}, most)}; {highest}"
        )
    fewest = f"fewest with {named(found.lowest)}: {_each(failures, found.lowest)}"
    if title:
        return f"fewest requests fail with {named(found.lowest)}: {_each(failures, found.lowest)}; {highest}"
    return f"requests fail with every configuration; {fewest}; {highest}"


def answered_within(patiences_s: Iterable[float | None]) -> str:
    """`answered within 12 s`; empty where no story has a patience."""
    different = set(patiences_s)
    if different <= {None}:
        return ""
    # Where one of several has none, every answer of its own is in time.
    patience_s = next(iter(different)) if len(different) == 1 else None
    return "answered within the patience" if patience_s is None else f"answered within {patience_s:g} s"


def who_succeeds(
    failures: Mapping[str, Failures], capacities: Mapping[str, int] | None = None, *, answered: str = ""
) -> str:
    """A clause that says with which configurations requests are answered in time, and how many.

    `answered` is what `answered_within` gave, and `failures` has the others; without it the clause is `who_fails`.
    """
    if not answered:
        return who_fails(failures, capacities)
    if not any(counts.requests for counts in failures.values()):
        return "no request has ended"
    found = ranking({name: counts.share for name, counts in failures.items()})
    answers = {name: Failures(counts.requests - counts.failed, counts.requests) for name, counts in failures.items()}
    if len(failures) == 1:
        ((name, only),) = answers.items()
        who = "every request is" if not found.most else f"{only} requests are" if only.failed else "no request is"
        return f"{who} {answered} with {name}"
    if found.most == 0:
        return f"every request is {answered}"
    if found.least == 1:
        return f"no request is {answered}, with any configuration"
    if found.all_alike:
        return f"as many requests are {answered} with every configuration: {_each(answers, found.lowest)}"

    named = partial(_named, of=len(failures), most=MAX_LISTED)
    fewest = f"with {named(found.highest)}: {_each(answers, found.highest)}"
    if len(found.lowest) + len(found.highest) < len(failures) or found.least > 0:
        fewest = f"fewest {fewest}"
    if found.least == 0:
        smallest = _smallest(found.lowest, capacities or {}, MAX_LISTED)
        return f"every request is {answered} with {named(found.lowest)}{smallest}; {fewest}"
    most = f"most with {named(found.lowest)}: {_each(answers, found.lowest)}"
    return f"not every request is {answered} with any configuration; {most}; {fewest}"


def _named(names: Sequence[str], *, of: int, most: int) -> str:
    return listed(names) if len(names) <= most else f"{len(names)} of {of} configurations"


def _each(failures: Mapping[str, Failures], names: Sequence[str]) -> str:
    """The counts of these configurations, which all have the same share of failures."""
    counts = list(dict.fromkeys(str(failures[name]) for name in names))
    return listed(counts) + (" each" if len(names) > 1 and len(counts) == 1 else "")


def _smallest(names: Sequence[str], capacities: Mapping[str, int], most: int) -> str:
    """The names with the smallest capacity, in brackets; empty where not all capacities are known, or all are equal."""
    sizes = {name: capacities[name] for name in names if name in capacities}
    if len(sizes) < len(names) or len(set(sizes.values())) < 2:
        return ""
    found = ranking(sizes).lowest
    return f" (the smallest {'is' if len(found) == 1 else 'are'} {listed(found, most=most)})"


def by_count(counts: Mapping[str, int]) -> str:
    """`5 with a; 20 each with b and c`: the count of each name, with equal counts together."""
    together: dict[int, list[str]] = {}
    for name, count in counts.items():
        together.setdefault(count, []).append(name)
    return "; ".join(
        f"{count}{' each' if len(names) > 1 else ''} with {listed(names, most=MAX_LISTED)}"
        for count, names in together.items()
    )
