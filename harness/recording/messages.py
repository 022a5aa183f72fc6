"""The messages that a recording is made of: what a client's asks for, what the server's holds.

Source: PostgreSQL's documentation, "Message Formats".
"""

from dataclasses import dataclass, field

from harness.model.packets import Message, Reader
from harness.recording.gathering import Key
from harness.recording.model import Answer, Column, Row, spread
from harness.recording.sql import split


@dataclass(slots=True)
class Portal:
    """A bound statement, and what was fetched from it so far."""

    key: Key
    values: Row = ()
    formats: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    """The result formats as Bind has them: none, one for all, or one a column."""
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    turn: int = 0
    """Which time of those that its transaction asks the same; 0: it has not been executed."""

    def answer(self, *, tag: str | None = None, error: dict[str, str] | None = None, columns: int = 0) -> Answer:
        width = len(self.rows[0]) if self.rows else columns
        return Answer(
            values=self.values,
            formats=self.formats,
            results=() if error is not None else spread(self.asked, width),
            rows=tuple(self.rows),
            turn=max(self.turn, 1),
            tag=tag,
            error=error,
        )


@dataclass(slots=True)
class Expected:
    """A message of the client's, until the server has answered it."""

    type: str
    at_s: float
    name: bytes = b""
    key: Key | None = None
    portal: Portal | None = None
    statement: bytes = b""
    texts: tuple[str, ...] = ()
    """Of a simple query: the statements still to be answered."""


def expected_of(packet: Message, at_s: float) -> Expected | None:
    """What a client's message makes one expect of the server; None: nothing."""
    reader = Reader(packet.body)
    match packet.type:
        case "P":
            name, sql = _bytes(reader), reader.string()
            declared = tuple(reader.oid() for _ in range(reader.int2()))
            return Expected("P", at_s, name, key=(only_statement(sql), declared))
        case "B":
            name, statement = _bytes(reader), _bytes(reader)
            formats = [reader.int2() for _ in range(reader.int2())]
            values = tuple(value_of(reader) for _ in range(reader.int2()))
            asked = tuple(reader.int2() for _ in range(reader.int2()))
            portal = Portal(("", ()), values, spread(tuple(formats), len(values)), asked)
            return Expected("B", at_s, name, portal=portal, statement=statement)
        case "D" | "C":
            kind, name = reader.take(1), _bytes(reader)
            return Expected(packet.type + kind.decode("latin-1"), at_s, name)
        case "E":
            return Expected("E", at_s, _bytes(reader))
        case "Q":
            return Expected("Q", at_s, texts=split(reader.string()))
        case "F":
            return Expected("F", at_s)
        case _:
            # Passwords, Flush, Terminate, what is copied in: none has an answer of its own.
            return None


def only_statement(sql: str) -> str:
    """The statement of a Parse; of what says nothing, or several things at once, none."""
    statements = split(sql)
    return statements[0] if len(statements) == 1 else ""


def has_fetched_all(sql: str, tag: str) -> bool:
    """Whether a FETCH came to the end: all were asked for, or more than there were."""
    asked = next((part for part in sql.split() if part.isdigit()), "")
    got = tag.rsplit(" ", 1)[-1]
    return "ALL" in sql.upper().split() or (got.isdigit() and int(got) < int(asked or 1))


def _bytes(reader: Reader) -> bytes:
    return reader.string().encode()


def value_of(reader: Reader) -> bytes | None:
    size = reader.int4()
    return None if size == -1 else reader.take(size)


def columns_of(body: bytes) -> tuple[Column, ...]:
    reader = Reader(body)
    columns = []
    for _ in range(reader.int2()):
        name, table, number, type_ = reader.string(), reader.oid(), reader.int2(), reader.oid()
        size, modifier, _format = reader.int2(), reader.int4(), reader.int2()
        columns.append(Column(name, type_, size, modifier, table, number))
    return tuple(columns)


def fields_of(body: bytes) -> dict[str, str]:
    parts = body.split(b"\0")
    return {part[:1].decode("latin-1"): part[1:].decode(errors="replace") for part in parts if part}
