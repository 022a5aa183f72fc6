"""Requests of an OpenAPI document: an operation a request, with placeholders where only the user knows a value.

OpenAPI 3.0 and 3.1: https://spec.openapis.org/oas/v3.1.0. What a document says in another way than the specification is
left out, never an error: only a document that describes no paths at all is refused.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from harness.application.drafts import Draft, Names, encoded, literal, path_text
from harness.application.placeholders import TEXT, References, placeholder
from harness.model.application_request import LARGEST_KEY, METHODS, ApplicationRequest
from harness.model.errors import UserError

TOKEN = "Bearer ${API_TOKEN}"  # noqa: S105 - the variable's name
TOKEN_NOTE = "API_TOKEN is a variable of your environment: the operation asks for authorization"  # noqa: S105 - words
NOT_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Parameters of these names the specification wants ignored."""
KEYS = 100
"""How many numbers `{key}` can be, where the document says nothing of them."""
JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
FORM = "application/x-www-form-urlencoded"
TEMPLATE = re.compile(r"\{([^{}]*)\}")


def read_document(text: str | bytes, *, where: str) -> object:
    """What a JSON text says. Raises `UserError` for what is none."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise UserError("is not JSON", where=where, allowed="an OpenAPI document in JSON") from None


def requests_of(document: object, *, methods: Collection[str], where: str) -> list[Draft]:
    """A request for each operation with one of these methods, in the document's order.

    Raises `UserError` for what is no OpenAPI document, and for one without such an operation.
    """
    if not isinstance(document, dict):
        raise UserError("is no OpenAPI document", where=where, allowed="a JSON object with openapi and paths")
    version, paths = document.get("openapi"), document.get("paths")
    if not isinstance(version, str) or not version.startswith("3."):
        found = "has no openapi 3" if not isinstance(document.get("swagger"), str) else "is of Swagger 2"
        raise UserError(f"is no OpenAPI document: it {found}", where=where, allowed="OpenAPI 3")
    if not isinstance(paths, dict):
        raise UserError("is no OpenAPI document: it has no paths", where=where, allowed="OpenAPI 3")
    names, references = Names(), References(document)
    operations = [
        (path, method, item)
        for path, described in paths.items()
        if path.startswith("/") and isinstance(item := references.resolved(described), dict)
        for method in METHODS
        if isinstance(item.get(method.lower()), dict)
    ]
    asked = [one for one in operations if one[1] in methods]
    if not asked:
        others = ",".join(method for method in METHODS if any(method == other for _, other, _ in operations))
        allowed = f"--methods {others}" if others else "a document with operations"
        raise UserError(f"has no operation of {', '.join(sorted(methods))}", where=where, allowed=allowed)
    return [_Operation(path, method, item, references).draft(names) for path, method, item in asked]


@dataclass(slots=True)
class _Sent:
    """What a request sends beside its path."""

    query: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    body: str | None = None
    keys: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)


class _Operation:
    """One operation of a document."""

    def __init__(self, path: str, method: str, item: Mapping[str, Any], references: References) -> None:
        self._path, self._method, self._item = path, method, item
        self._references = references
        self._operation: Mapping[str, Any] = item[method.lower()]

    def draft(self, names: Names) -> Draft:
        sent = _Sent()
        parameters = list(self._parameters())
        path = self._with_values({one["name"]: one for one in parameters if one["in"] == "path"}, sent)
        for parameter in parameters:
            if parameter.get("required") is True:
                self._send(parameter, sent)
        self._authorize(sent)
        self._add_body(sent)
        if sent.cookies:
            sent.headers["Cookie"] = "; ".join(sent.cookies)
        request = ApplicationRequest(
            name=names.of(self._name()),
            method=self._method,
            target=path + ("?" + "&".join(sent.query) if sent.query else ""),
            keys=sent.keys or (1, KEYS),
            headers=tuple(sent.headers.items()),
            body=sent.body,
        )
        return Draft(request=request, notes=tuple(sent.notes))

    def _name(self) -> str:
        """Its operationId, without what FastAPI adds to a function's name; else its path."""
        given = self._operation.get("operationId")
        if not isinstance(given, str) or not re.search(r"[A-Za-z0-9]", given):
            path = TEMPLATE.sub(r"\1", self._path)
            return path if self._method == "GET" else f"{self._method.lower()} {path}"
        added = f"{re.sub(r'[^A-Za-z0-9_]', '_', self._path)}_{self._method.lower()}"
        return given.removesuffix(added) or given

    def _parameters(self) -> Iterator[dict[str, Any]]:
        """The path item's and the operation's own, which come in place of the former."""
        by_name: dict[tuple[str, str], dict[str, Any]] = {}
        for holder in (self._item, self._operation):
            given = holder.get("parameters")
            for one in given if isinstance(given, list) else ():
                parameter = self._references.resolved(one)
                if not isinstance(parameter, dict):
                    continue
                name, place = parameter.get("name"), parameter.get("in")
                if isinstance(name, str) and isinstance(place, str):
                    by_name[name, place] = parameter
        yield from by_name.values()

    def _with_values(self, parameters: Mapping[str, Mapping[str, Any]], sent: _Sent) -> str:
        """The path: the last whole number in it is `{key}`, every other parameter a value."""
        named = TEMPLATE.findall(self._path)
        numbers = [name for name in named if self._schema(parameters.get(name, {})).get("type") == "integer"]
        keyed = numbers[-1] if numbers else None

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == keyed:
                sent.keys = _keys(self._schema(parameters[name]))
                sent.notes.append(f"keys: the first and the last {name} that exist")
                return "{key}"
            found = self._value(parameters.get(name, {}))
            text = encoded(TEXT if found is None else _text(found)) or TEXT
            sent.notes.append(f"{text} stands for a {name} in the path: put one that exists")
            return text

        # What stands between the parameters has no placeholder of ours either.
        pieces, end = [], 0
        for match in TEMPLATE.finditer(self._path):
            pieces += [path_text(self._path[end : match.start()]), value(match)]
            end = match.end()
        return self._prefix() + "".join([*pieces, path_text(self._path[end:])])

    def _prefix(self) -> str:
        """The path of the document's first server."""
        servers = self._references.document.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else None
        url = first.get("url") if isinstance(first, dict) else None
        if not isinstance(url, str) or "{" in url:
            return ""
        try:
            path = urlsplit(url).path
        except ValueError:
            return ""
        return path_text(path).rstrip("/") if path.startswith("/") else ""

    def _send(self, parameter: Mapping[str, Any], sent: _Sent) -> None:
        name, place = parameter["name"], parameter["in"]
        if place == "path" or (place == "header" and name.lower() in NOT_HEADERS):
            return
        value = self._value(parameter)
        values = [_text(one) for one in value] if isinstance(value, list) else [_text(value)]
        match place:
            case "query":
                sent.query += [f"{encoded(name)}={encoded(text)}" for text in values]
            case "header" if (header := _header(name)) is not None:
                sent.headers[header] = _header_text(",".join(values))
            case "cookie" if (header := _header(name)) is not None:
                sent.cookies.append(f"{header}={encoded(','.join(values))}")
            case _:
                return
        sent.notes.append(f"{name} in the {place} is a placeholder: put a value that is allowed")

    def _authorize(self, sent: _Sent) -> None:
        """A header, or what an API key is sent in, where there is no way without."""
        required = self._operation.get("security", self._references.document.get("security"))
        ways = [way for way in required if isinstance(way, dict)] if isinstance(required, list) else []
        if not ways or not all(ways):
            return
        schemes = [self._scheme(name) for name in ways[0]]
        for scheme in schemes:
            name = _header(scheme.get("name")) if scheme.get("type") == "apiKey" else None
            match scheme.get("in") if name else None:
                case "header":
                    sent.headers[str(name)] = "${API_TOKEN}"
                case "query":
                    sent.query.append(f"{encoded(str(name))}=${{API_TOKEN}}")
                case "cookie":
                    sent.cookies.append(f"{name}=${{API_TOKEN}}")
                case _:
                    basic = str(scheme.get("scheme")).lower() == "basic"
                    sent.headers["Authorization"] = "Basic ${API_TOKEN}" if basic else TOKEN
        sent.notes.append(TOKEN_NOTE)

    def _scheme(self, name: str) -> Mapping[str, Any]:
        components = self._references.document.get("components")
        schemes = components.get("securitySchemes") if isinstance(components, dict) else None
        scheme = self._references.resolved(schemes.get(name)) if isinstance(schemes, dict) else None
        return scheme if isinstance(scheme, dict) else {}

    def _add_body(self, sent: _Sent) -> None:
        described = self._references.resolved(self._operation.get("requestBody"))
        content = described.get("content") if isinstance(described, dict) else None
        if not isinstance(content, dict) or not content:
            return
        kinds = [kind for kind in content if isinstance(content[kind], dict)]
        kind = next((kind for kind in kinds if JSON.fullmatch(kind)), FORM if FORM in kinds else None)
        if kind is None:
            sent.notes.append(f"its body is {', '.join(sorted(content))}: write it, as body")
            return
        value = self._value(content[kind])
        if kind == FORM:
            fields = value if isinstance(value, dict) else {}
            sent.body = "&".join(f"{encoded(name)}={encoded(_text(one))}" for name, one in fields.items())
        else:
            # Half of a character, which JSON can hold, is no text.
            sent.body = literal(json.dumps(value, ensure_ascii=False)).encode("utf-8", "replace").decode()
        sent.headers["Content-Type"] = kind if _header_text(kind) == kind else "application/json"
        sent.notes.append("the body is of placeholders: put values that are allowed; {unique} is new each time")

    def _schema(self, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
        """A parameter's, its type the first that is not null."""
        schema = self._references.whole(parameter.get("schema"))
        kinds = schema.get("type")
        if isinstance(kinds, list):
            schema = {**schema, "type": next((kind for kind in kinds if kind != "null"), None)}
        return schema

    def _value(self, described: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of JSON
        """A value for a parameter or a body: its own example, else one of its schema."""
        if "example" in described:
            return described["example"]
        examples = described.get("examples")
        if isinstance(examples, dict) and examples:
            first = self._references.resolved(next(iter(examples.values())))
            if isinstance(first, dict) and "value" in first:
                return first["value"]
        return placeholder(described.get("schema"), self._references)


def _keys(schema: Mapping[str, Any]) -> tuple[int, int]:
    """The numbers that a schema allows, as far as it says."""

    def bound(name: str, beyond: int) -> int | None:
        for key, more in ((name, 0), (f"exclusive{name.capitalize()}", beyond)):
            value = schema.get(key)
            if type(value) is int and 0 <= value + more <= LARGEST_KEY:
                return value + more
        return None

    first, last = bound("minimum", 1), bound("maximum", -1)
    if first is None:
        first = 1 if last is None else min(1, last)
    return first, max(first, min(first + KEYS - 1, LARGEST_KEY) if last is None else last)


def _text(value: Any) -> str:  # noqa: ANN401 - of JSON
    """A value as it stands in a path or a query."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _header(name: object) -> str | None:
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) else None


def _header_text(text: str) -> str:
    """The text with nothing in it that a header can't hold."""
    return re.sub(r"[^ -~]", "?", literal(text)).strip()
