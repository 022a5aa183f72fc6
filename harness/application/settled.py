"""What a part of a request becomes, of all the values that it was seen with: itself, a placeholder, or one of them."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.application.credentials import API_TOKEN, in_its_place, is_secret, variable_of
from harness.application.logged import UUID
from harness.application.parts import Parts, Place, written
from harness.model.application_request import LARGEST_KEY

VARIES = re.compile(r"(?=[0-9a-fA-F-]*[0-9])[0-9a-fA-F-]+")
"""What a program makes so that a text is a new one: a number, hexadecimal digits, a UUID."""
UNIQUE = "coldstartunique"
"""Stands for `{unique}` while a text is encoded: letters stay as they are."""
UNGUESSABLE = 8
"""Characters of a text with a digit in it that nobody would have come upon by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request of a kind."""

    parts: Parts
    learned: frozenset[str]
    """What earlier answers had told its user."""
    made: frozenset[str]
    """What of it was in an answer to a request that changes something, such as the number of a new order."""


@dataclass(slots=True)
class Settled:
    """What the parts of a kind of request became."""

    texts: dict[Place, str] = field(default_factory=dict)
    keys: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)


def settle(seen: Sequence[Seen]) -> Settled:
    """The parts of requests that all have the same form."""
    settled = Settled()
    columns = {place: [one.parts.values[place] for one in seen] for place in seen[0].parts.values}
    keyed = _keyed(columns, seen)
    if keyed is not None:
        numbers = [int(value) for value in columns[keyed]]
        settled.keys = min(numbers), max(numbers)
    for place, values in columns.items():
        if keyed is not None and len(set(map(str, values))) > 1 and _same(values, columns[keyed]):
            settled.texts[place] = "{key}" if place[0] != "json" or _is_whole(values[0]) else '"{key}"'
        else:
            settled.texts[place] = _one(place, values, seen, settled.notes)
    return settled


def _one(place: Place, values: Sequence[Any], seen: Sequence[Seen], notes: list[str]) -> str:
    """What a part that is no `{key}` becomes."""
    name = _name(place)
    if place[0] != "path" and is_secret(name) and values[0] not in ("", None):
        variable = API_TOKEN if name.lower() == "authorization" else variable_of(name)
        notes.append(f"{variable} is a variable of your environment: {name} is a credential, and is in no file")
        text = in_its_place(name, str(values[0]))
        return f'"{text}"' if place[0] == "json" and isinstance(values[0], str) else text
    counts = Counter(json.dumps(value, sort_keys=True) for value in values)
    # The most frequent one, of several the first in order: the same whatever their order is.
    chosen = json.loads(min(counts, key=lambda one: (-counts[one], one)))
    told = [str(value) in one.learned for value, one in zip(values, seen, strict=True)]
    shown = _shown(chosen)
    is_made = place[0] == "path" and _all_made(values, seen)
    if all(told) and (len(counts) > 1 or _is_unguessable(chosen) or is_made):
        notes.append(f"{shown}{_where(place)} was in an earlier answer to its user: put one that exists")
    elif len(counts) > 1:
        in_body = place[0] in ("json", "form")
        if in_body and len(counts) == len(values) and (unique := _unique(values)) is not None:
            return written(place, unique).replace(UNIQUE, "{unique}")
        notes.append(f"{shown}{_where(place)} is one of {len(counts)} that were asked for in its place")
    return written(place, chosen)


def _unique(values: Sequence[Any]) -> str | None:
    """The texts with `UNIQUE` in the place of the digits in which alone they differ; None: they differ in more.

    What is nothing but hexadecimal digits must have their form, which a number does not have.
    """
    if not all(isinstance(value, str) for value in values):
        return None
    start = _common_start(values)
    end = _common_start([value[len(start) :][::-1] for value in values])[::-1]
    # Digits that happen to be the same are of what varies all the same.
    start, end = re.sub(r"[0-9a-fA-F-]+\Z", _kept_start, start), re.sub(r"\A[0-9]+", "", end)
    middles = [value[len(start) : len(value) - len(end)] for value in values]
    if not all(VARIES.fullmatch(middle) for middle in middles):
        return None
    if not (start or end or all(middle.isdigit() for middle in middles)) or any(map(UUID.fullmatch, values)):
        return None
    return f"{start}{UNIQUE}{end}"


def _common_start(texts: Sequence[str]) -> str:
    """What all of them begin with."""
    first, last = min(texts), max(texts)
    length = next((n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:length]


def _kept_start(match: re.Match[str]) -> str:
    """Of what a common beginning ends with, all but its digits."""
    return match[0].rstrip("0123456789")


def _keyed(columns: Mapping[Place, Sequence[Any]], seen: Sequence[Seen]) -> Place | None:
    """The part whose number is `{key}`: the last of the path that differs, else of the query, else of the body."""
    for kind in ("path", "query", "form", "json"):
        numbers = [
            place
            for place, values in columns.items()
            if place[0] == kind
            and len(set(map(str, values))) > 1
            and all(map(_is_number, values))
            and not is_secret(_name(place))
            and not _all_made(values, seen)
        ]
        if numbers:
            return numbers[-1]
    return None


def _all_made(values: Sequence[Any], seen: Sequence[Seen]) -> bool:
    return all(str(value) in one.made for value, one in zip(values, seen, strict=True))


def _same(values: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(str(value) == str(other) for value, other in zip(values, others, strict=True))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Whether `{key}` can stand for it, as a number or as a text."""
    if not _is_whole(value) and not (isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value)):
        return False
    return 0 <= int(str(value)) <= LARGEST_KEY and str(int(str(value))) == str(value)


def _is_unguessable(value: object) -> bool:
    return isinstance(value, str) and len(value) >= UNGUESSABLE and any(sign.isdigit() for sign in value)


def _name(place: Place) -> str:
    """A field's or a header's name; of what is in a list, the list's."""
    return next((part for part in reversed(place[1:]) if isinstance(part, str)), "")


def _where(place: Place) -> str:
    match place[0]:
        case "path":
            return ""
        case "json" | "form":
            return f" ({_name(place)} in the body)" if _name(place) else " (in the body)"
        case kind:
            return f" ({_name(place)} in the {kind})"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
