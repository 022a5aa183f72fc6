"""What a session's statements are answered from: the catalogue's source (known.py), or a recording's (replay.py)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from harness.model.compute import ErrorResponse
from harness.model.protocol import encoded, message


class StatementError(Exception):
    """A statement fails: SQLSTATE and words, or all of an ErrorResponse's fields by their letters."""

    def __init__(self, sqlstate: str, words: str, fields: Mapping[str, str] | None = None) -> None:
        self.sqlstate = sqlstate
        self.words = words
        self._fields = fields
        super().__init__(words)

    def encoded(self) -> bytes:
        if self._fields is None:
            return encoded(ErrorResponse("ERROR", self.sqlstate, self.words))
        body = b"".join(code.encode() + text.encode() + b"\0" for code, text in self._fields.items())
        return message(b"E", body + b"\0")


class Prepared(Protocol):
    """A parsed statement."""

    @property
    def sql(self) -> str: ...

    @property
    def word(self) -> str:
        """Its first word, in capitals; of the empty statement, the empty word."""
        ...

    @property
    def own(self) -> bool:
        """Whether the session carries it out itself: transactions, savepoints, channels, the empty statement."""
        ...

    @property
    def own_s(self) -> float:
        """What that takes."""
        ...

    @property
    def own_cpu_s(self) -> float:
        """How much of it is computing."""
        ...

    def check(self) -> None:
        """Raises `StatementError` for what the source does not know."""
        ...

    def described(self) -> bytes:
        """ParameterDescription, then RowDescription or NoData."""
        ...

    def bound(self, values: Sequence[bytes | None], formats: Sequence[int], results: tuple[int, ...]) -> "Portal":
        """With parameters in these formats, one a value. Raises `StatementError` for values that don't fit."""
        ...


class Portal(Protocol):
    """A bound statement."""

    prepared: Prepared
    rows: tuple[bytes, ...] | None
    """DataRow messages that are still to be fetched; None: it has not been executed."""
    cpu_s: float
    """How much of the time that it takes is computing; known once `seconds` has been asked."""

    @property
    def tag(self) -> str:
        """CommandComplete's; `{}` stands for the number of rows that were fetched."""
        ...

    def row_description(self) -> bytes:
        """Nothing where there are no columns."""
        ...

    def seconds(self, draw_service_s: Callable[[], float]) -> float:
        """What carrying it out takes. Raises `StatementError` for what can't be carried out."""
        ...

    def answer(self) -> tuple[bytes, ...]:
        """Carry it out: its DataRow messages. Raises `StatementError`."""
        ...


class Source(Protocol):
    """Of one session."""

    def prepared(self, text: bytes, types: bytes) -> Prepared:
        """A statement as Parse has it: the text, and what follows it in the message."""
        ...

    def simple(self, text: bytes) -> tuple[Prepared, ...]:
        """The statements of a simple query; none of an empty one."""
        ...

    def cursor(self, name: bytes) -> Portal | None:
        """What a DECLARE has opened under this name."""
        ...

    def transaction_ended(self) -> None:
        """The session is ready, and in no transaction: cursors have ended with it."""
        ...
