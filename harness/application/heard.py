"""Requests that Locust's users were heard to ask: one for each name of theirs, weighted by how often it was asked."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from harness.application.drafts import Draft, Names
from harness.application.logged import varying
from harness.application.parts import Parts, Place, body_of, parts_of, target_of
from harness.application.settled import Seen, settle
from harness.model.application_request import STATUSES, ApplicationRequest
from harness.processes.heard import RequestHeard

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~+/=-]*")
BETWEEN = re.compile(r"[./=+]")
COOKIE_NOTE = (
    'its cookies are in no file: where it needs one, headers = {Cookie = "session=${SESSION}"}, a variable of yours'
)
PORTS = {"http": 80, "https": 443}
Kind = tuple[str, ...]
"""A method, and a name or a path's pattern."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What users asked, the most frequent kind first."""

    drafts: tuple[Draft, ...]
    asked: int
    """Requests of these kinds."""
    answers: dict[str, int]
    """Of those, the ones that were no success: by what came in its place, `404` or `no answer`."""
    elsewhere: int
    """Requests of other hosts, or not below the target."""
    other_methods: int
    """Requests of methods that nobody asked for."""


@dataclass(frozen=True, slots=True)
class _One:
    """A request that belongs to the target."""

    record: RequestHeard
    path: str
    """Below the target."""
    query: str
    seen: Seen


def heard(records: Sequence[RequestHeard], *, target: str, methods: Collection[str]) -> Heard:
    """The kinds of requests that were asked of `target` with one of these methods, in the order of their number."""
    kinds: dict[Kind, list[_One]] = defaultdict(list)
    other_methods = elsewhere = 0
    memories: dict[int, _Memory] = defaultdict(_Memory)
    for record in records:
        path, query = _below(record.url, target)
        if path is None:
            elsewhere += 1
        elif record.method not in methods:
            other_methods += 1
        else:
            parts = parts_of(path, query, record.headers, record.body)
            one = _One(record, path, query, memories[record.user].seen(parts))
            kinds[_kind(one)].append(one)
        memories[record.user].take(record)
    names = Names()
    ranked = sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    asked = [one for _, ones in ranked for one in ones]
    return Heard(
        drafts=tuple(_draft(kind, ones, names) for kind, ones in ranked),
        asked=len(asked),
        answers=dict(Counter(_answer(one.record) for one in asked if not one.record.good)),
        elsewhere=elsewhere,
        other_methods=other_methods,
    )


class _Memory:
    """What one user has sent, and what answers have told it beside that."""

    def __init__(self) -> None:
        self._sent: set[str] = set()
        self._learned: set[str] = set()
        self._made: set[str] = set()

    def seen(self, parts: Parts) -> Seen:
        """The request in these parts, and which of them the user knew of an answer."""
        values = {str(value) for value in parts.values.values()}
        return Seen(parts=parts, learned=frozenset(values & self._learned), made=frozenset(values & self._made))

    def take(self, record: RequestHeard) -> None:
        """The request that was asked, and its answer."""
        self._sent |= _words(record.url, record.body or "", *record.headers.values())
        new = _words(record.answer) - self._sent
        if record.method not in ("GET", "HEAD", "OPTIONS"):
            self._made |= new - self._learned
        self._learned |= new


def _words(*texts: str) -> set[str]:
    """The words of texts: numbers, names, tokens; of paths and what has points in it, the whole and its pieces."""
    found = {word.rstrip(".") for text in texts for word in WORD.findall(text)}
    return (found | {piece for word in found for piece in BETWEEN.split(word)}) - {""}


def _below(url: str, target: str) -> "tuple[str, str] | tuple[None, str]":
    """The path and the query below the target; None: it is somewhere else."""
    try:
        asked, base = urlsplit(url), urlsplit(target)
        same = [(parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)) for parts in (asked, base)]
    except ValueError:
        return None, ""
    prefix = base.path.rstrip("/")
    path = asked.path or "/"
    if same[0] != same[1] or not (path == prefix or path.startswith(f"{prefix}/")):
        return None, ""
    return path[len(prefix) :] or "/", asked.query


def _kind(one: _One) -> Kind:
    if one.record.name is not None:
        return one.record.method, one.record.name
    fields = sorted({name for name, _ in parse_qsl(one.query, keep_blank_values=True)})
    return (
        one.record.method,
        *(varying(segment) or segment for segment in one.path.split("/")),
        *(f"?{name}" for name in fields),
    )


def _draft(kind: Kind, ones: Sequence[_One], names: Names) -> Draft:
    records = [one.record for one in ones]
    notes = _about(records)
    # What was answered well is what is to be asked.
    good = [one for one in ones if one.record.good] or ones
    forms = Counter(one.seen.parts.form for one in good)
    # The most frequent form, of several the first that was asked.
    form = max(forms, key=lambda each: forms[each])
    same = [one for one in good if one.seen.parts.form == form]
    if len(same) < len(good):
        notes.append(f"{len(good) - len(same)} of its {len(good)} requests have other parts, and are left out of it")
    settled = settle([one.seen for one in same])
    chosen, notes_of_body = _body_kind(same)
    request = ApplicationRequest(
        name=names.of(_name(ones[0].record, settled.texts)),
        method=kind[0],
        target=target_of(settled.texts),
        keys=settled.keys or (1, 100),
        headers=tuple((str(place[1]), text) for place, text in settled.texts.items() if place[0] == "header"),
        body=body_of(chosen, settled.texts),
        statuses=_statuses(records),
    )
    return Draft(request=request, weight=float(len(ones)), notes=(*notes, *settled.notes, *notes_of_body))


def _body_kind(ones: Sequence[_One]) -> tuple[Parts, list[str]]:
    """The parts whose body is written: of those that can't be taken apart the most frequent one."""
    counts = Counter(one.seen.parts.whole for one in ones)
    whole = min(counts, key=lambda text: (-counts[text], text or ""))
    chosen = next(one for one in ones if one.seen.parts.whole == whole)
    notes = [f"its body is one of {len(counts)} that were sent"] if len(counts) > 1 else []
    if chosen.record.body is None and chosen.record.body_bytes:
        notes.append("its body is no text, or a long one: write it, as body")
    return chosen.seen.parts, notes


def _about(records: Sequence[RequestHeard]) -> list[str]:
    """What is to be known of the requests as they were."""
    notes = []
    if failed := Counter(_answer(record) for record in records if not record.good):
        times = sum(failed.values())
        notes.append(f"{times} of {len(records)} were not answered well: {counted_answers(failed)}")
    if statuses := _statuses(records):
        notes.append(f"statuses: the locustfile takes {' and '.join(map(str, statuses))} for a success")
    if any(record.redirected for record in records):
        notes.append("its answer was a redirect, which is not followed here")
    if not any(record.in_task for record in records):
        notes.append("asked by no task, only as users started or stopped: weight is how often that was")
    if any(name.lower() == "cookie" for record in records for name in record.headers):
        notes.append(COOKIE_NOTE)
    return notes


def counted_answers(answers: "Counter[str] | dict[str, int]") -> str:
    """`404 (3), 500 (1)`, the most frequent first."""
    ranked = sorted(answers.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{what} ({times})" for what, times in ranked)


def _answer(record: RequestHeard) -> str:
    return str(record.status) if record.status else "no answer"


def _statuses(records: Iterable[RequestHeard]) -> tuple[int, ...]:
    """The statuses that the locustfile takes for a success, where others than the usual ones are among them."""
    good = sorted({record.status for record in records if record.good and 100 <= record.status <= 599})
    return () if all(STATUSES[0] <= status <= STATUSES[1] for status in good) else tuple(good)


def _name(record: RequestHeard, texts: Mapping[Place, str]) -> str:
    """The locustfile's own name, else one of the path, as `requests from-log` has them."""
    if record.name is not None:
        return record.name
    segments = [text for place, text in texts.items() if place[0] == "path"]
    words = "/".join("key" if text == "{key}" else "id" if varying(text) else text for text in segments)
    return words if record.method == "GET" else f"{record.method.lower()} {words}"
