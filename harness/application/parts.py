"""A request as the parts in which it may differ from others of its kind, and put together again from what they became.

A part is known by its place: a segment of the path, a field of the query, a header, a value in a body (JSON or a form).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from harness.application.drafts import encoded, literal, path_text
from harness.model.application_request import HEADER, HEADER_TEXT

Place = tuple[str | int, ...]
"""`("path", 2)`, `("query", "page", 0)`, `("header", "X-Tenant")`, `("json", "ids", 0)`, `("form", "name", 0)`."""
JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
FORM_TYPE = re.compile(r"application/x-www-form-urlencoded\s*(?:;.*)?", re.IGNORECASE)
OF_THE_CLIENT = frozenset({
    "accept-encoding", "connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding",
    "upgrade", "user-agent",
})  # fmt: skip
"""Headers that the client sends by itself."""
MARK = "coldstart-part-{}-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One request in parts."""

    values: Mapping[Place, Any]
    """Texts, and what JSON has besides objects and arrays that hold something."""
    shape: Any
    """What a body of JSON is but for its values; None: it is none."""
    whole: str | None
    """A body that is neither JSON nor a form."""

    @property
    def form(self) -> tuple[Place, ...]:
        """Which parts it has: requests of another form can't be compared part by part."""
        return tuple(self.values)


def parts_of(path: str, query: str, headers: Mapping[str, str], body: str | None) -> Parts:
    """A request in parts. Headers that the client sends by itself are none, and neither are cookies."""
    values: dict[Place, Any] = {("path", number): segment for number, segment in enumerate(path.split("/"))}
    _add_pairs(values, "query", query)
    kind = ""
    for name, value in headers.items():
        if name.lower() == "content-type":
            kind = value
        if not _is_the_clients(name, value):
            values["header", name] = value
    if body is None:
        return Parts(values=values, shape=None, whole=None)
    if JSON_TYPE.fullmatch(kind):
        try:
            shape = _shape(json.loads(body), ("json",), values)
        except (ValueError, RecursionError):
            pass
        else:
            return Parts(values=values, shape=shape, whole=None)
    if FORM_TYPE.fullmatch(kind):
        _add_pairs(values, "form", body)
        return Parts(values=values, shape=None, whole=None)
    return Parts(values=values, shape=None, whole=body)


def target_of(settled: Mapping[Place, str]) -> str:
    """The path and the query of what the parts became."""
    path = "/".join(text for place, text in settled.items() if place[0] == "path")
    query = _pairs(settled, "query")
    return path + (f"?{query}" if query else "")


def body_of(parts: Parts, settled: Mapping[Place, str]) -> str | None:
    """The body of what the parts became; None: it has none."""
    if parts.shape is not None:
        text = json.dumps(parts.shape, ensure_ascii=False)
        places = [place for place in parts.values if place[0] == "json"]
        for number, place in enumerate(places):
            text = text.replace(f'"{MARK.format(number)}"', settled[place])
        # Half of a character, which JSON can hold, is no text.
        return text.encode("utf-8", "replace").decode()
    if any(place[0] == "form" for place in parts.values):
        return _pairs(settled, "form")
    return None if parts.whole is None else literal(parts.whole)


def written(place: Place, value: Any) -> str:  # noqa: ANN401 - of JSON
    """A part as it stands in a requests file, with nothing in it that is filled in."""
    match place[0]:
        case "path":
            return path_text(value)
        case "header":
            return re.sub(r"[^ -~]", "?", literal(value)).strip()
        case "json":
            return literal(json.dumps(value, ensure_ascii=False))
        case _:
            return encoded(value)


def _add_pairs(values: dict[Place, Any], kind: str, text: str) -> None:
    for name, value in parse_qsl(text, keep_blank_values=True):
        number = sum(place[:2] == (kind, name) for place in values)
        values[kind, name, number] = value


def _pairs(settled: Mapping[Place, str], kind: str) -> str:
    return "&".join(f"{encoded(str(place[1]))}={text}" for place, text in settled.items() if place[0] == kind)


def _shape(value: Any, place: Place, values: dict[Place, Any]) -> Any:  # noqa: ANN401 - of JSON
    """The value with a mark in the place of each value in it, which goes to `values`."""
    if isinstance(value, dict) and value:
        return {literal(name): _shape(one, (*place, name), values) for name, one in value.items()}
    if isinstance(value, list) and value:
        return [_shape(one, (*place, number), values) for number, one in enumerate(value)]
    mark = MARK.format(sum(other[0] == "json" for other in values))
    values[place] = value
    return mark


def _is_the_clients(name: str, value: str) -> bool:
    """Whether a header is none of the user's, or can't be in a requests file."""
    if name.lower() in OF_THE_CLIENT or (name.lower() == "accept" and value == "*/*"):
        return True
    return name.lower() == "cookie" or not HEADER.fullmatch(name) or not HEADER_TEXT.fullmatch(literal(value))
