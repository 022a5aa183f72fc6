"""A database that is kept in a folder, and the file that makes its schema."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from harness.model.errors import UserError
from harness.postgres import kept
from harness.up import running_database
from tests.up.conftest import names

pytestmark = pytest.mark.anyio
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another account")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that another account may pass through; not under tmp_path, which pytest closes."""
    with tempfile.TemporaryDirectory(prefix="coldstart-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_kept_database_has_the_same_rows_and_password_the_next_time(place: Path) -> None:
    schema = place / "schema.sql"
    schema.write_text("CREATE TABLE tracks (id int);\nINSERT INTO tracks VALUES (7);\n")
    data = place / "data"
    async with running_database(data=data, init=schema) as first:
        assert first.is_new
        await fetch(first.url, "INSERT INTO tracks VALUES (8) RETURNING id")
        assert await fetch(first.url, "SHOW fsync") == "on"
    assert (data / "password").stat().st_mode & 0o777 == 0o600
    async with running_database(data=data, init=schema, port=first.port) as second:
        assert second.url == first.url
        assert not second.is_new
        assert await fetch(second.url, "SELECT array_agg(id ORDER BY id) FROM tracks") == [7, 8]


async def test_a_second_one_on_the_same_folder_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "BUSY_S", 0.1)
    async with running_database(data=place / "data") as database:
        with pytest.raises(UserError, match=r"data folder .*: another coldstart up is running on it"):
            async with running_database(data=place / "data"):
                pass
        assert await fetch(database.url, "SELECT 1") == 1


async def test_a_folder_with_other_files_is_left_alone(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="has other files in it"):
        async with running_database(data=place / "data"):
            pass
    assert names(place / "data") == ["thesis.txt"]


@pytest.mark.parametrize(
    ("named", "says"), [("no/such", "can't be used: No such file or directory"), ("file", "can't be used: Not a dir")]
)
async def test_a_folder_that_cannot_be_is_refused(place: Path, named: str, says: str) -> None:
    (place / "file").touch()
    with pytest.raises(UserError, match=says):
        async with running_database(data=place / named):
            pass


@pytest.fixture
def closed(place: Path) -> Path:
    """A folder that no other account may pass through."""
    place.chmod(0o700)
    return place


@as_root
async def test_roots_folder_must_be_open_to_the_servers_account(closed: Path) -> None:
    with pytest.raises(UserError, match="is closed to the account nobody, as which root's server runs"):
        async with running_database(data=closed / "data"):
            pass
    assert names(closed) == []


FAILING = [
    ("SELECT 1;\n\nSELEC 2;\n", 'line 3: 42601: syntax error at or near "SELEC"'),
    ("CREATE TABLE a (\n  id int,\n\n  size nosuch\n);\n", 'line 4: 42704: type "nosuch" does not exist'),
    ("CREATE TABLE a (id int);\n\nINSERT INTO a\n\nSELECT 1 / 0;\n", "line 3: 22012: division by zero"),
    ("CREATE TABLE a (id int);\nCOPY a FROM stdin;\n1\n\\.\n\nSELECT 1 / 0", "line 6: 22012: division by zero"),
    ("DO $$ BEGIN\n  RAISE EXCEPTION 'two\nlines';\nEND $$;\n", "line 1: P0001: two"),
    ("\\explode\n", r"line 1: invalid command \explode"),
]


@pytest.mark.parametrize(("script", "says"), FAILING, ids=range(len(FAILING)))
async def test_a_statement_that_fails_is_a_line_with_its_sqlstate_and_the_files_line(
    place: Path, script: str, says: str
) -> None:
    schema = place / "schema 1: first.sql"
    schema.write_text(script)
    with pytest.raises(UserError) as failed:
        async with running_database(init=schema, data=place / "data"):
            pass
    assert str(failed.value) == f"{schema}, {says}"
    assert names(place) == [schema.name], "what was begun is removed"


async def test_what_a_killed_first_start_left_is_made_anew(place: Path) -> None:
    data = place / "data"
    (data / "data").mkdir(parents=True)
    (data / "data" / "half").touch()
    (data / "coldstart.lock").touch()
    (data / "unfinished").touch()
    data.chmod(0o711)
    async with running_database(data=data) as database:
        assert database.is_new
        assert await fetch(database.url, "SELECT 1") == 1
    assert sorted(names(data)) == ["coldstart.lock", "data", "password"]


async def test_data_whose_password_is_gone_are_left_alone(place: Path) -> None:
    data = place / "data"
    (data / "data").mkdir(parents=True)
    (data / "data" / "rows").touch()
    (data / "coldstart.lock").touch()
    with pytest.raises(UserError, match="has data, but its file 'password' is gone"):
        async with running_database(data=data):
            pass
    assert names(data / "data") == ["rows"]
