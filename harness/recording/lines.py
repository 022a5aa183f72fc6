"""A recording as lines of JSON, and back. docs/recording.md is the format's description.

Standard library only: it is read in processes that have nothing else.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from harness.model.errors import UserError
from harness.recording.model import (
    READABLE,
    VERSION,
    Answer,
    Column,
    Recording,
    RequestKind,
    Row,
    Seconds,
    Statement,
    Value,
)

ANSWER = frozenset({"values", "formats", "results", "turn", "rows", "tag", "error", "seconds"})
"""The fields of an answer."""

T = TypeVar("T")
Json = dict[str, Any]


def to_lines(recording: Recording) -> Iterator[str]:
    """The header, a line a statement, a line a request kind."""
    yield _line(_header(recording))
    yield from (_line(_statement(statement)) for statement in recording.statements)
    yield from (_line(_request(kind)) for kind in recording.requests)


def from_lines(lines: Iterable[str], *, where: str) -> Recording:
    """The inverse. Raises `UserError` with the line's number for what is no recording, or only a part of one."""
    numbered = enumerate(lines, start=1)
    number, first = next(numbered, (1, ""))
    header = _Fields(_parsed(first, f"{where}, line {number}"), f"{where}, line {number}")
    version = header.get("recording", _whole)
    if version not in READABLE:
        allowed = f"version {' or '.join(map(str, READABLE))}"
        raise UserError(f"a recording of version {version}", where=header.where, allowed=allowed)
    statements: list[Statement] = []
    requests: list[RequestKind] = []
    for number, line in numbered:
        fields = _Fields(_parsed(line, f"{where}, line {number}"), f"{where}, line {number}")
        if "statement" in fields.body:
            statements.append(_statement_from(fields))
        elif "request" in fields.body:
            requests.append(_request_from(fields))
        else:
            fields.refuse("neither a statement nor a request kind")
        fields.finish()
    for name, found in (("statements", len(statements)), ("requests", len(requests))):
        said = header.get(name, _whole)
        if said != found:
            raise UserError(
                f"the recording is cut off or has been added to: {found} of {said} {name}",
                where=where,
                allowed="a whole file, as it was written",
            )
    recording = _recording_from(header, tuple(statements), tuple(requests))
    header.finish()
    return recording


def _line(body: Json) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(", ", ": ")) + "\n"


def _parsed(line: str, where: str) -> Json:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or not line.endswith("\n"):
        raise UserError("cut off or damaged", where=where, allowed="a JSON object, and the line's end")
    return body


# To JSON:


def _header(recording: Recording) -> Json:
    return {
        "recording": VERSION,
        "app": recording.app,
        "recorded_at": recording.recorded_at,
        "has_values": recording.has_values,
        "postgres": recording.postgres,
        "libraries": dict(sorted(recording.libraries.items())),
        "parameters": dict(recording.parameters),
        "connect_s": _seconds(recording.connect),
        "connect_cpu_s": _seconds(recording.connect_cpu),
        "cores": recording.cores,
        "enums": list(recording.enums),
        "statements": len(recording.statements),
        "requests": len(recording.requests),
        "notes": list(recording.notes),
    }


def _statement(statement: Statement) -> Json:
    body: Json = {"statement": statement.sql}
    if statement.declared:
        body["declared"] = list(statement.declared)
    if statement.types is not None:
        body["types"] = list(statement.types)
    if statement.columns is not None:
        body["columns"] = [_column(column) for column in statement.columns]
    if statement.error is not None:
        body["error"] = dict(statement.error)
    if statement.refused is not None:
        body["refused"] = statement.refused
    body["seconds"] = _seconds(statement.seconds)
    for name, computed in (("cpu_s", statement.cpu), ("first_cpu_s", statement.first_cpu)):
        if computed is not None:
            body[name] = _seconds(computed)
    body["answers"] = [_answer(answer) for answer in statement.answers]
    return body


def _column(column: Column) -> Json:
    body: Json = {"name": column.name, "type": column.type, "size": column.size}
    for name, value, usual in (
        ("modifier", column.modifier, -1),
        ("table", column.table, 0),
        ("number", column.number, 0),
    ):
        if value != usual:
            body[name] = value
    return body


def _answer(answer: Answer) -> Json:
    body: Json = {}
    if answer.values:
        body["values"] = [_value(value) for value in answer.values]
        body["formats"] = list(answer.formats)
    if answer.results:
        body["results"] = list(answer.results)
    if answer.turn != 1:
        body["turn"] = answer.turn
    if answer.rows:
        body["rows"] = [[_value(value) for value in row] for row in answer.rows]
    if answer.tag is not None:
        body["tag"] = answer.tag
    if answer.error is not None:
        body["error"] = dict(answer.error)
    body["seconds"] = _seconds(answer.seconds)
    return body


def _request(kind: RequestKind) -> Json:
    body: Json = {"request": kind.request, "cpu_s": list(kind.cpu_s)}
    for name in ("before_cpu_s", "held_cpu_s", "connecting_cpu_s"):
        if getattr(kind, name):
            body[name] = list(getattr(kind, name))
    return body | {"latency_s": list(kind.latency_s)}


def _seconds(seconds: Seconds | None) -> Json | None:
    if seconds is None:
        return None
    return {"count": seconds.count, "median": seconds.median, "min": seconds.least, "max": seconds.most}


def _value(value: Value) -> Any:  # noqa: ANN401 - of JSON
    """Text as text, NULL as null, the rest in hexadecimal."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
    # A binary jsonb is its version, 1, and text.
    readable = text.removeprefix("\x01").replace("\n", "").replace("\t", "").replace("\r", "").isprintable()
    return text if readable else {"hex": value.hex()}


# From JSON:


class _Fields:
    """Takes the fields out of one JSON object, and refuses what is not as described."""

    def __init__(self, body: Json, where: str) -> None:
        self.body = body
        self.where = where
        self._taken: set[str] = set()

    def refuse(self, what: str) -> None:
        raise UserError(what, where=self.where, allowed="what docs/recording.md describes")

    def get(self, name: str, read: Callable[[Any], T]) -> T:
        """A field that must be there. Raises `UserError`."""
        if name not in self.body:
            self.refuse(f"{name} is missing")
        self._taken.add(name)
        try:
            return read(self.body[name])
        except (TypeError, ValueError, KeyError, AttributeError):
            text = json.dumps(self.body[name], ensure_ascii=False)
            self.refuse(f"{name} can't be {text if len(text) <= 60 else text[:57] + '...'}")
            raise

    def maybe(self, name: str, read: Callable[[Any], T]) -> T | None:
        """A field that may be left out, or be null."""
        if self.body.get(name) is None:
            self._taken.add(name)
            return None
        return self.get(name, read)

    def finish(self) -> None:
        """Refuse what nobody took."""
        if unknown := sorted(set(self.body) - self._taken):
            self.refuse(f"unknown field {unknown[0]}")


def _recording_from(header: _Fields, statements: tuple[Statement, ...], requests: tuple[RequestKind, ...]) -> Recording:
    return Recording(
        app=header.get("app", _text),
        postgres=header.get("postgres", _text),
        parameters=header.get("parameters", _texts),
        libraries=header.get("libraries", _texts),
        recorded_at=header.get("recorded_at", _text),
        connect=header.maybe("connect_s", _seconds_from),
        connect_cpu=header.maybe("connect_cpu_s", _seconds_from),
        cores=header.maybe("cores", _positive),
        has_values=header.get("has_values", _flag),
        enums=header.get("enums", _list_of(_oid)),
        statements=statements,
        requests=requests,
        notes=header.get("notes", _list_of(_text)),
    )


def _statement_from(fields: _Fields) -> Statement:
    statement = Statement(
        sql=fields.get("statement", _text),
        declared=fields.maybe("declared", _list_of(_oid)) or (),
        types=fields.maybe("types", _list_of(_oid)),
        columns=fields.maybe("columns", _list_of(_column_from)),
        answers=fields.get("answers", _list_of(_answer_from)),
        error=fields.maybe("error", _texts),
        refused=fields.maybe("refused", _text),
        seconds=fields.maybe("seconds", _seconds_from),
        cpu=fields.maybe("cpu_s", _seconds_from),
        first_cpu=fields.maybe("first_cpu_s", _seconds_from),
    )
    for answer in statement.answers:
        if any(len(row) != len(answer.results) for row in answer.rows) or (
            answer.results and statement.columns is not None and len(answer.results) != len(statement.columns)
        ):
            fields.refuse("a row has not as many values as there are columns and result formats")
        if len(answer.values) != len(answer.formats):
            fields.refuse("an answer has not as many formats as values")
    return statement


def _column_from(body: Any) -> Column:  # noqa: ANN401 - of JSON
    return Column(
        name=_text(body["name"]),
        type=_oid(body["type"]),
        size=_signed(body["size"], bits=16),
        modifier=_signed(body.get("modifier", -1), bits=32),
        table=_oid(body.get("table", 0)),
        number=_signed(body.get("number", 0), bits=16),
    )


def _answer_from(body: Any) -> Answer:  # noqa: ANN401 - of JSON
    if set(body) - ANSWER:
        raise KeyError(body)
    tag, error = body.get("tag"), body.get("error")
    return Answer(
        values=_row(body.get("values", [])),
        formats=_formats(body.get("formats", [])),
        results=_formats(body.get("results", [])),
        turn=_positive(body.get("turn", 1)),
        rows=_list_of(_row)(body.get("rows", [])),
        tag=None if tag is None else _text(tag),
        error=None if error is None else _texts(error),
        seconds=None if body.get("seconds") is None else _seconds_from(body["seconds"]),
    )


def _request_from(fields: _Fields) -> RequestKind:
    return RequestKind(
        request=fields.get("request", _text),
        cpu_s=fields.maybe("cpu_s", _list_of(_number)) or (),
        before_cpu_s=fields.maybe("before_cpu_s", _list_of(_number)) or (),
        held_cpu_s=fields.maybe("held_cpu_s", _list_of(_number)) or (),
        connecting_cpu_s=fields.maybe("connecting_cpu_s", _list_of(_number)) or (),
        latency_s=fields.maybe("latency_s", _list_of(_number)) or (),
    )


def _seconds_from(body: Any) -> Seconds:  # noqa: ANN401 - of JSON
    return Seconds(_whole(body["count"]), _number(body["median"]), _number(body["min"]), _number(body["max"]))


def _row(values: Any) -> Row:  # noqa: ANN401 - of JSON
    return _list_of(_value_from)(values)


def _value_from(value: Any) -> Value:  # noqa: ANN401 - of JSON
    if value is None:
        return None
    if isinstance(value, dict):
        return bytes.fromhex(_text(value["hex"]))
    return _text(value).encode()


def _formats(value: Any) -> tuple[int, ...]:  # noqa: ANN401 - of JSON
    formats = _list_of(_whole)(value)
    if set(formats) - {0, 1}:
        raise ValueError(value)
    return formats


def _list_of(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    def read_list(value: Any) -> tuple[T, ...]:  # noqa: ANN401 - of JSON
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(value)
        return tuple([read(item) for item in value])

    return read_list


def _texts(value: Any) -> Mapping[str, str]:  # noqa: ANN401 - of JSON
    return {name: _text(text) for name, text in value.items()}


def _text(value: Any) -> str:  # noqa: ANN401 - of JSON
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _whole(value: Any) -> int:  # noqa: ANN401 - of JSON
    if type(value) is not int:
        raise TypeError(value)
    return value


def _oid(value: Any) -> int:  # noqa: ANN401 - of JSON
    if not 0 <= _whole(value) < 2**32:
        raise ValueError(value)
    return int(value)


def _signed(value: Any, *, bits: int) -> int:  # noqa: ANN401 - of JSON
    if not -(2 ** (bits - 1)) <= _whole(value) < 2 ** (bits - 1):
        raise ValueError(value)
    return int(value)


def _positive(value: Any) -> int:  # noqa: ANN401 - of JSON
    if _whole(value) < 1:
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:  # noqa: ANN401 - of JSON
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise ValueError(value)
    return float(value)


def _flag(value: Any) -> bool:  # noqa: ANN401 - of JSON
    if not isinstance(value, bool):
        raise TypeError(value)
    return value
