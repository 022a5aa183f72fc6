"""Every statement the service sends, as values: the text, and for reads what the seeded catalogue answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

ARTISTS = 40
TRACKS = 400
PAGE = 20

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
    """One statement: its text for SQLAlchemy, and its columns (name, PostgreSQL type) and rows."""

    sql: str
    columns: tuple[tuple[str, str], ...]
    rows: Callable[[Sequence[Any]], list[tuple[Any, ...]]]
    """The rows the seeded catalogue answers for these parameters."""


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
SLOW_QUERY_SQL = "SELECT pg_sleep(:seconds)"

STATEMENTS = (READ_TRACK, LIST_TRACKS, WRITE_PLAY)
