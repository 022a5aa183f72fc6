"""The requests file: what an application is asked, one table a request, in TOML.

[[request]]
name = "read_item"
method = "GET"
path = "/items/{key}"
keys = [1, 200]
weight = 6

[[request]]
name = "add_order"
method = "POST"
path = "/orders"
headers = {Authorization = "Bearer ${API_TOKEN}"}
json = {item = "{key}", quantity = 1}
statuses = [201]
weight = 1
"""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.application.drafts import Draft
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.errors import UserError

KEYS = ("name", "method", "path", "keys", "headers", "body", "json", "statuses", "weight")
KEYS_LEFT_OUT = (1, 100)
JSON_HEADER = ("Content-Type", "application/json")
KEY_AS_NUMBER = '"{key}"'
"""In `json`, a text that is nothing but the placeholder stands for the number itself."""
HEAD = """\
# What the application is asked: coldstart run SCENARIO --app module:app --requests-file {name}
# {{key}} is a whole number of `keys`, {{unique}} a random one below 2^31, ${{NAME}} a variable of yours.
"""


def read_requests(path: Path) -> RequestMix:
    """The mix that a requests file describes. Raises `UserError`, in one line, for one that is none."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"is not TOML: {error}", where=str(path)) from None
    tables = document.pop("request", None)
    if document or not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        named = f"has an unknown key {min(document)!r}" if document else "has no request"
        raise UserError(named, where=str(path), allowed="[[request]] tables")
    weights = tuple(_weighted(table, f"{path}: request {number}") for number, table in enumerate(tables, 1))
    names = [request.name for request, _ in weights]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two requests have the name {twice}", where=str(path))
    return RequestMix(weights)


def write_requests(drafts: Iterable[Draft], *, name: str) -> str:
    """The text of a requests file with these requests; `name` is what the file will be called."""
    return HEAD.format(name=_comment(name)) + "".join(f"\n{_table(draft)}" for draft in drafts)


def _weighted(table: dict[str, Any], where: str) -> tuple[ApplicationRequest, float]:
    if unknown := sorted(set(table) - set(KEYS)):
        raise UserError(f"has an unknown key {unknown[0]!r}", where=where, allowed=", ".join(KEYS))
    weight = _typed(table, "weight", (int, float), 1, "a number", where)
    if not 0 < weight < float("inf"):
        raise UserError(f"weight must be positive, got {weight!r}", where=where)
    path = _typed(table, "path", (str,), None, "text", where)
    if path is None:
        raise UserError("has no path", where=where)
    headers, body = _sent(table, where)
    keys = _numbers(table, "keys", where) if "keys" in table else KEYS_LEFT_OUT
    if len(keys) != 2:
        raise UserError(f"keys must be the first and the last number, got {list(keys)}", where=where)
    try:
        request = ApplicationRequest(
            name=_typed(table, "name", (str,), _named(path), "text", where),
            method=_typed(table, "method", (str,), "GET", "text", where).upper(),
            target=path,
            keys=(keys[0], keys[1]),
            headers=tuple(headers.items()),
            body=body,
            statuses=_numbers(table, "statuses", where),
        )
    except UserError as error:
        raise UserError(error.what, where=where, allowed=error.allowed) from None
    return request, float(weight)


def _sent(table: dict[str, Any], where: str) -> tuple[dict[str, str], str | None]:
    """The headers and the body."""
    headers = _typed(table, "headers", (dict,), {}, "a table of texts", where)
    if not all(isinstance(text, str) for text in headers.values()):
        raise UserError("headers must be a table of texts", where=where)
    body = _typed(table, "body", (str,), None, "text", where)
    if "json" not in table:
        return headers, body
    if body is not None:
        raise UserError("has both a body and json", where=where, allowed="one of them")
    try:
        body = json.dumps(table["json"], ensure_ascii=False, allow_nan=False).replace(KEY_AS_NUMBER, "{key}")
    except (TypeError, ValueError):
        raise UserError("json has a value that JSON does not know, such as a date", where=where) from None
    if not any(name.lower() == "content-type" for name in headers):
        headers = {JSON_HEADER[0]: JSON_HEADER[1], **headers}
    return headers, body


def _typed(table: dict[str, Any], key: str, types: tuple[type, ...], default: Any, words: str, where: str) -> Any:  # noqa: ANN401 - of TOML
    value = table.get(key, default)
    if key in table and (not isinstance(value, types) or isinstance(value, bool)):
        raise UserError(f"{key} must be {words}, got {value!r}", where=where)
    return value


def _numbers(table: dict[str, Any], key: str, where: str) -> tuple[int, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise UserError(f"{key} must be a list of whole numbers, got {values!r}", where=where)
    return tuple(values)


def _named(path: str) -> str:
    """A name for a request that has none: of its path."""
    words = "".join(
        character if character.isascii() and character.isalnum() else " " for character in path.partition("?")[0]
    ).split()
    return "_".join(words)[:64] or "root"


def _table(draft: Draft) -> str:
    request = draft.request
    lines = [f"# {_comment(note)}" for note in draft.notes]
    lines += ["[[request]]", f"name = {_text(request.name)}", f"method = {_text(request.method)}"]
    lines.append(f"path = {_text(request.target)}")
    if any("{key}" in text for text in request.texts):
        lines.append(f"keys = [{request.keys[0]}, {request.keys[1]}]")
    if request.headers:
        pairs = ", ".join(f"{_text(name)} = {_text(text)}" for name, text in request.headers)
        lines.append(f"headers = {{{pairs}}}")
    if request.body is not None:
        lines.append(f"body = {_text(request.body)}")
    if request.statuses:
        lines.append(f"statuses = [{', '.join(map(str, request.statuses))}]")
    lines.append(f"weight = {draft.weight:.12g}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """The text in one line of characters that TOML allows in a comment."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))


def _text(text: str) -> str:
    if '"' in text and "'" not in text and text.isprintable():
        # As it is, which is easier to change by hand.
        return f"'{text}'"
    # What JSON writes between quotes is a basic string of TOML too, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
