"""A value that a JSON schema allows: an example of its own where it has one, else the plainest there is."""

import math
from collections.abc import Mapping
from typing import Any

DEEPEST = 8
"""A schema may hold itself; so deep in there, it is null."""
MOST_ITEMS = 5
LONGEST_TEXT = 200
MOST_STEPS = 32
"""So many references are followed from one to the next: a circle of them leads nowhere."""
TEXTS = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "user@example.com",
    "uri": "https://example.com",
    "url": "https://example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "binary": "",
}
TEXT = "string"


class References:
    """A document, in which `$ref` leads from one place to another."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def resolved(self, value: Any) -> Any:  # noqa: ANN401 - of JSON
        """The value, or what its `$ref` leads to in this document; None: nowhere."""
        for _ in range(MOST_STEPS):
            reference = value.get("$ref") if isinstance(value, dict) else None
            if not isinstance(reference, str):
                return value
            value = self._at(reference)
        return None

    def whole(self, schema: Any) -> dict[str, Any]:  # noqa: ANN401 - of JSON
        """A schema with what it is made of: references, `allOf`, and the first choice of `anyOf` and `oneOf`."""
        return self._whole(schema, MOST_STEPS)

    def _whole(self, schema: Any, steps: int) -> dict[str, Any]:  # noqa: ANN401 - of JSON
        resolved = self.resolved(schema)
        if not isinstance(resolved, dict) or steps == 0:
            return {}
        parts = _schemas(resolved, "allOf")
        for choice in ("anyOf", "oneOf"):
            others = [one for one in _schemas(resolved, choice) if one.get("type") != "null"]
            parts += others[:1]
        found = dict(resolved)
        for part in parts:
            # Each part may have as many steps as there are left, shared: a schema of itself ends.
            other = self._whole(part, min(steps - 1, steps // len(parts)))
            properties = {**_table(other, "properties"), **_table(found, "properties")}
            required = [*_list(other, "required"), *_list(found, "required")]
            found = {**other, **found}
            if properties:
                found["properties"] = properties
            if required:
                found["required"] = required
        return found

    def _at(self, reference: str) -> Any:  # noqa: ANN401 - of JSON
        found: Any = self.document
        if not reference.startswith("#/"):
            return None
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                return None
            found = found[name]
        return found


def placeholder(schema: Any, references: References, depth: int = DEEPEST) -> Any:  # noqa: ANN401 - of JSON
    """A value for this schema; None where it is no schema."""
    whole = references.whole(schema)
    if depth == 0 or not whole:
        return None
    own = _own(whole)
    if own:
        return own[0]
    match _kind(whole):
        case "object":
            return _object(whole, references, depth)
        case "array":
            least = whole.get("minItems")
            items = min(MOST_ITEMS, max(1, least)) if type(least) is int else 1
            return [placeholder(whole.get("items"), references, depth - 1)] * items
        case "string":
            return _string(whole)
        case "integer":
            return math.ceil(_number(whole))
        case "number":
            return _number(whole)
        case "boolean":
            return False
        case _:
            return None


def _own(schema: Mapping[str, Any]) -> list[Any]:
    """The values that the schema itself names, the best first."""
    named = [schema[key] for key in ("example", "default") if schema.get(key) is not None]
    constant = [schema["const"]] if "const" in schema else []
    return [*named, *constant, *_list(schema, "examples"), *_list(schema, "enum")]


def _object(schema: Mapping[str, Any], references: References, depth: int) -> dict[str, Any]:
    """Only what must be in it."""
    properties = _table(schema, "properties")
    required = dict.fromkeys(name for name in _list(schema, "required") if isinstance(name, str))
    return {name: placeholder(properties.get(name, {}), references, depth - 1) for name in required}


def _string(schema: Mapping[str, Any]) -> str:
    text = TEXTS.get(str(schema.get("format")), TEXT)
    least, most = schema.get("minLength"), schema.get("maxLength")
    if type(least) is int and len(text) < least <= LONGEST_TEXT:
        text = (text or TEXT) + "x" * (least - len(text or TEXT))
    return text[:most] if type(most) is int and most >= 0 else text


def _number(schema: Mapping[str, Any]) -> float | int:
    """The least that is allowed, 1 where that is not said."""
    if (least := _limit(schema, "minimum")) is not None:
        return least + (schema.get("exclusiveMinimum") is True)
    if (above := _limit(schema, "exclusiveMinimum")) is not None:
        return above + 1
    most, below = _limit(schema, "maximum"), _limit(schema, "exclusiveMaximum")
    upper = [1, *([] if most is None else [most]), *([] if below is None else [below - 1])]
    return min(upper)


def _limit(schema: Mapping[str, Any], key: str) -> float | int | None:
    """A number to calculate with; None: the schema has none there."""
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300 else None


def _kind(schema: Mapping[str, Any]) -> str | None:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    named = next((one for one in kinds if isinstance(one, str) and one != "null"), None)
    if named is None and "properties" in schema:
        return "object"
    return named


def _schemas(schema: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [one for one in _list(schema, key) if isinstance(one, dict)]


def _list(schema: Mapping[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _table(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = schema.get(key)
    return value if isinstance(value, dict) else {}
