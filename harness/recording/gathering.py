"""Gathers what is seen on many connections into one recording."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from harness.recording.model import Answer, Column, Recording, RequestKind, Seconds, Statement
from harness.recording.sql import recorded_text, words

PASSING = frozenset({"25P02"})
"""SQLSTATEs that say nothing about the statement: in a failed transaction every statement fails."""
FATAL = frozenset({"FATAL", "PANIC"})
"""Severities that end a connection, and say nothing about the statement either."""

OF_A_CURSOR = frozenset({"FETCH", "MOVE", "CLOSE"})
"""What is said to a cursor is gathered with the statement that declared it."""

_recorded_text = lru_cache(maxsize=4096)(recorded_text)

Key = tuple[str, tuple[int, ...]]
"""A text, and the types its client declared."""


@dataclass(slots=True)
class _Seen:
    """One answer, and each time it was given."""

    answer: Answer
    seconds: list[float]

    def takes(self, answer: Answer, seconds: float) -> None:
        """The same question once more: an error never replaces an answer, nor an unfinished one a finished one."""
        if _rank(answer) > _rank(self.answer):
            self.answer, self.seconds = answer, [seconds]
        elif _rank(answer) == _rank(self.answer):
            longer = answer.tag is not None or answer.error is not None or len(answer.rows) >= len(self.answer.rows)
            self.answer = answer if longer else self.answer
            self.seconds.append(seconds)


def _rank(answer: Answer) -> int:
    return 0 if answer.error is not None else 1 if answer.tag is None else 2


@dataclass(slots=True)
class _Known:
    """What is known of one statement so far."""

    types: tuple[int, ...] | None = None
    columns: tuple[Column, ...] | None = None
    answers: dict[object, _Seen] = field(default_factory=dict)
    error: Mapping[str, str] | None = None
    error_seconds: list[float] = field(default_factory=list)
    refused: str | None = None
    cpu_s: list[float] = field(default_factory=list)
    first_cpu_s: list[float] = field(default_factory=list)


class Gathering:
    """What was seen so far."""

    def __init__(self) -> None:
        self._statements: dict[Key, _Known] = {}
        self._connects_s: list[float] = []
        self._connects_cpu_s: list[float] = []
        self._parameters: dict[str, str] = {}
        self._notes: dict[str, None] = {}

    def connected(self, seconds: float, parameters: Mapping[str, str]) -> None:
        """A connection is ready for its first statement."""
        self._connects_s.append(seconds)
        if not self._parameters:
            self._parameters = dict(parameters)

    def connection_computed(self, cpu_s: float) -> None:
        """What a backend computed until its client's first statement came."""
        self._connects_cpu_s.append(cpu_s)

    def computed(self, key: Key, cpu_s: float, *, first: bool) -> None:
        """What a statement cost its backend; `first`: the connection had not carried it out before."""
        known = self._statements.get((_recorded_text(key[0]), key[1]))
        if known is not None:
            (known.first_cpu_s if first else known.cpu_s).append(cpu_s)

    def noted(self, what: str) -> None:
        """Something that can't be recorded, told once."""
        self._notes[what] = None

    def parsed(self, key: Key) -> None:
        """The server has understood a text."""
        self._known(key).error = None

    def not_parsed(self, key: Key, error: Mapping[str, str], seconds: float) -> None:
        """The server did not understand a text."""
        known = self._known(key)
        if _is_about_it(error) and known.types is None and known.columns is None and not known.answers:
            known.error = error
            known.error_seconds.append(seconds)

    def described(
        self, key: Key, *, types: tuple[int, ...] | None = None, columns: tuple[Column, ...] | None = None
    ) -> None:
        """The server has described a statement, or what it returns."""
        known = self._known(key)
        known.error = None
        if types is not None:
            known.types = types
        if columns is not None:
            if known.columns is not None and _kinds(known.columns) != _kinds(columns):
                # The schema has changed: what was answered before does not fit this description.
                known.answers.clear()
            known.columns = columns

    def answered(self, key: Key, answer: Answer, seconds: float) -> None:
        """A statement was carried out, or failed."""
        if answer.error is not None and not _is_about_it(answer.error):
            return
        known = self._known(key)
        known.error = None
        seen = known.answers.pop(answer.key, None)
        if seen is None:
            seen = _Seen(answer, [seconds])
        else:
            seen.takes(answer, seconds)
        # At the end again: the answers stand in the order in which they were seen for the last time.
        known.answers[answer.key] = seen

    def refused(self, key: Key, what: str) -> None:
        """A statement does what can't be played again."""
        self._known(key).refused = what

    def columns(self, key: Key) -> tuple[Column, ...] | None:
        """What a statement returns, as far as it is known."""
        return self._known(key).columns

    def width(self, key: Key) -> int:
        """How many columns a statement is known to return."""
        return len(self.columns(key) or ())

    def recording(
        self,
        requests: tuple[RequestKind, ...] = (),
        **header: Any,  # noqa: ANN401 - `Recording`'s own fields
    ) -> Recording:
        """What was seen so far; `header` is what only the caller knows: app, libraries, recorded_at."""
        return Recording(
            postgres=self._parameters.get("server_version", ""),
            parameters=dict(self._parameters),
            connect=Seconds.of(self._connects_s),
            connect_cpu=Seconds.of(self._connects_cpu_s),
            statements=tuple(
                _statement(key, known)
                for key, known in sorted(self._statements.items(), key=lambda item: item[0])
                if known.answers or not set(words(key[0], 1)) & OF_A_CURSOR
            ),
            requests=tuple(sorted(requests, key=lambda kind: kind.request)),
            notes=tuple(self._notes),
            **header,
        )

    def _known(self, key: Key) -> _Known:
        if not key[0]:
            # No statement: the empty one, or one that the server knows from before it was listened to.
            return _Known()
        kept = (_recorded_text(key[0]), key[1])
        known = self._statements.get(kept)
        if known is None:
            known = self._statements[kept] = _Known()
        return known


def _is_about_it(error: Mapping[str, str]) -> bool:
    return error.get("C") not in PASSING and error.get("V", error.get("S")) not in FATAL


def _kinds(columns: tuple[Column, ...]) -> list[tuple[str, int]]:
    return [(column.name, column.type) for column in columns]


def _without_repetition(seen: list[_Seen]) -> list[_Seen]:
    """Without errors where there is an answer, and without later turns that were answered as the one before."""
    answered = {one.answer.question for one in seen if one.answer.error is None}
    kept = [one for one in seen if one.answer.error is None or one.answer.question not in answered]
    by_key = {one.answer.key: one for one in kept}
    for one in sorted(kept, key=lambda one: -one.answer.turn):
        before = by_key.get(replace(one.answer, turn=one.answer.turn - 1).key)
        if before is not None and replace(one.answer, turn=before.answer.turn) == before.answer:
            before.seconds += one.seconds
            kept.remove(one)
    return kept


def _statement(key: Key, known: _Known) -> Statement:
    sql, declared = key
    seen = _without_repetition(list(known.answers.values()))
    good = [second for one in seen if one.answer.error is None for second in one.seconds]
    bad = [second for one in seen for second in one.seconds]
    return Statement(
        sql=sql,
        declared=declared,
        types=known.types,
        columns=known.columns,
        answers=tuple(replace(one.answer, seconds=Seconds.of(one.seconds)) for one in seen),
        error=known.error,
        refused=known.refused,
        seconds=Seconds.of(good or bad or known.error_seconds),
        cpu=Seconds.of(known.cpu_s),
        first_cpu=Seconds.of(known.first_cpu_s),
    )
