"""Every statement the service sends, as values: the text, and for reads what the seeded catalogue answers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ARTISTS = 40
TRACKS = 400
PAGE = 20
NAMED = re.compile(r"(?<!:):(\w+)")
"""A parameter in a statement's text."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS artists (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS tracks (
    id integer PRIMARY KEY,
    title text NOT NULL,
    artist_id integer NOT NULL REFERENCES artists
);
CREATE TABLE IF NOT EXISTS plays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    track_id integer NOT NULL,
    played_at timestamptz NOT NULL DEFAULT now()
);
"""


def artist(number: int) -> tuple[int, str]:
    return number, f"Artist {number}"


def track(number: int) -> tuple[int, str, int]:
    return number, f"Track {number}", number % ARTISTS


def track_id(key: int) -> int:
    """The track an arrival's key stands for."""
    return key % TRACKS


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its text, and its columns (name, PostgreSQL type) and rows."""

    sql: str
    """With named parameters as SQLAlchemy's `text` has them: `:id`. `numbered` and `in_pyformat` have the others."""
    columns: tuple[tuple[str, str], ...]
    rows: Callable[[Sequence[Any]], list[tuple[Any, ...]]]
    """The rows the seeded catalogue answers for these parameters."""

    @property
    def writes(self) -> bool:
        """Whether it changes rows, and gives none."""
        return not self.columns


@lru_cache
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """A statement's text with PostgreSQL's own parameters, `$1`, which are asyncpg's; and their names in order."""
    names = list(dict.fromkeys(NAMED.findall(sql)))
    return NAMED.sub(lambda match: f"${names.index(match.group(1)) + 1}", sql), tuple(names)


@lru_cache
def in_pyformat(sql: str) -> str:
    """A statement's text with psycopg's parameters, `%(id)s`."""
    return NAMED.sub(r"%(\1)s", sql)


def _track_with_artist(number: int) -> tuple[Any, ...]:
    id_, title, artist_id = track(number)
    return id_, title, artist(artist_id)[1]


_COLUMNS = (("id", "integer"), ("title", "text"), ("artist", "text"))
_TRACK = (
    "SELECT tracks.id, tracks.title, artists.name AS artist FROM tracks JOIN artists ON artists.id = tracks.artist_id"
)

READ_TRACK = Statement(
    f"{_TRACK} WHERE tracks.id = :id",
    _COLUMNS,
    lambda parameters: [_track_with_artist(parameters[0])] if 0 <= parameters[0] < TRACKS else [],
)
LIST_TRACKS = Statement(
    f"{_TRACK} WHERE tracks.id > :after ORDER BY tracks.id LIMIT {PAGE}",
    _COLUMNS,
    lambda parameters: [_track_with_artist(number) for number in range(max(0, parameters[0] + 1), TRACKS)[:PAGE]],
)
WRITE_PLAY = Statement("INSERT INTO plays (track_id) VALUES (:track_id)", (), lambda _: [])
SLOW_QUERY = Statement("SELECT pg_sleep(:seconds)", (("pg_sleep", "text"),), lambda _: [("",)])
TRY = Statement("SELECT 1", (("?column?", "integer"),), lambda _: [(1,)])
"""What a connection is warmed with."""

STATEMENTS = (READ_TRACK, LIST_TRACKS, WRITE_PLAY)
"""The statements on the catalogue's tables."""
