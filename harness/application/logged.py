"""Requests of a log: paths that differ in numbers and ids only are one kind of request, weighted by how often."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from harness.application.drafts import Draft, Names, path_text
from harness.model.application_request import LARGEST_KEY, METHODS, ApplicationRequest
from harness.model.errors import UserError

REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)")
NUMBER = re.compile(r"[0-9]{1,10}")
UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
HEX = re.compile(r"(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{12,}")
"""As long as an object id or a hash is, and with a digit in it: words such as `facade` are none."""
VARIES = {"number": "{number}", "id": "{id}"}
HAS_BODY = frozenset({"POST", "PUT", "PATCH"})
Pattern = tuple[str, ...]
"""A method and the segments of a path, with `VARIES` for those that differ."""


@dataclass(slots=True)
class _Kind:
    """The requests of one pattern."""

    asked: int = 0
    values: dict[int, Counter[str]] = field(default_factory=dict)
    """What was seen in the segments that differ, by their places."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """A log's kinds of requests, the most frequent first."""

    drafts: tuple[Draft, ...]
    asked: int
    """Requests of these kinds."""
    other_methods: int
    """Requests of methods that nobody asked for."""
    rare: int
    """Requests of kinds that are too rare to be among the most frequent ones."""
    no_path: int
    """Lines that name no method with a path."""


def grouped(requests: Iterable[str], *, methods: Collection[str], most: int, where: str) -> Grouped:
    """The `most` frequent kinds of a log's requests, each `METHOD /path`, that have one of these methods.

    Raises `UserError` where there is none.
    """
    kinds: dict[Pattern, _Kind] = {}
    counts = Counter(requests)
    no_path = other_methods = 0
    seen: Counter[str] = Counter()
    for text, times in counts.items():
        match = REQUEST.fullmatch(text)
        if match is None or match["method"] not in METHODS:
            no_path += times
            continue
        seen[match["method"]] += times
        if match["method"] not in methods:
            other_methods += times
            continue
        _add(kinds, match["method"], match["path"], times)
    if not kinds:
        others = ",".join(method for method in METHODS if method in seen)
        named = f"has no request of {', '.join(sorted(methods))}" if seen else "names no method and path in any line"
        allowed = f"--methods {others}" if seen else 'requests such as "GET /items/7"'
        raise UserError(named, where=where, allowed=allowed)
    ranked = sorted(kinds.items(), key=lambda one: (-one[1].asked, one[0]))
    names = Names()
    return Grouped(
        drafts=tuple(_draft(pattern, kind, names) for pattern, kind in ranked[:most]),
        asked=sum(kind.asked for _, kind in ranked[:most]),
        other_methods=other_methods,
        rare=sum(kind.asked for _, kind in ranked[most:]),
        no_path=no_path,
    )


def _add(kinds: dict[Pattern, _Kind], method: str, path: str, times: int) -> None:
    segments = path.split("/")
    pattern = (method, *(varying(segment) or segment for segment in segments))
    kind = kinds.setdefault(pattern, _Kind())
    kind.asked += times
    for place, segment in enumerate(segments):
        if varying(segment):
            kind.values.setdefault(place, Counter())[segment] += times


def varying(segment: str) -> str | None:
    """What stands for a segment that differs from request to request, of `VARIES`; None: it does not."""
    if NUMBER.fullmatch(segment) and int(segment) <= LARGEST_KEY and str(int(segment)) == segment:
        return VARIES["number"]
    return VARIES["id"] if UUID.fullmatch(segment) or HEX.fullmatch(segment) else None


def _draft(pattern: Pattern, kind: _Kind, names: Names) -> Draft:
    method, *segments = pattern
    numbers = [place for place in kind.values if segments[place] == VARIES["number"]]
    keyed = max(numbers, default=None)
    written, notes, keys = [], [], (1, 100)
    for place, segment in enumerate(segments):
        values = kind.values.get(place)
        if values is None:
            written.append(path_text(segment))
        elif place == keyed:
            written.append("{key}")
            keys = min(map(int, values)), max(map(int, values))
        else:
            # The most frequent one, of several the first in order: the same whatever the log's order is.
            chosen = min(values, key=lambda one: (-values[one], one))
            written.append(path_text(chosen))
            if len(values) > 1:
                notes.append(f"{chosen} is one of {len(values)} that were asked for in its place")
    if method in HAS_BODY:
        notes.append("its body is not in a log: write it, as json or body")
    path = "/".join(written)
    words = "/".join("key" if place == keyed else "id" if place in kind.values else segment
                     for place, segment in enumerate(segments))  # fmt: skip
    name = names.of(words if method == "GET" else f"{method.lower()} {words}")
    request = ApplicationRequest(name=name, method=method, target=path, keys=keys)
    return Draft(request=request, weight=float(kind.asked), notes=tuple(notes))
