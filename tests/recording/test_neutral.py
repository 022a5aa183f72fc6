"""Without values: nothing of production's is left, and what is left still makes an application run."""

import asyncio
import enum
import json
import uuid
from typing import Any

import asyncpg
import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from harness.postgres import PostgresServer
from harness.recording import ENUMS_SQL, Answer, Column, Recording, Seconds, Statement, read, without_values, write
from harness.recording.lines import to_lines
from tests.recording.tap import NOW, Place, listened_to, replayed

pytestmark = pytest.mark.anyio

TYPES = {
    "bool": "false", "int2": "'31337'", "int4": "'31337'", "int8": "'31337'", "oid": "'31337'", "float4": "'31337'",
    "float8": "'31337'", "numeric": "'31337.25'", "text": "'SECRET'", "varchar": "'SECRET'", "bpchar": "'SECRET'",
    "name": "'SECRET'", "json": "'{\"key\": [\"SECRET\", 31337, true, null]}'",
    "jsonb": "'{\"key\": [\"SECRET\", 31337, true, null]}'", "bytea": "'SECRET'",
    "date": "'1337-01-31'", "timestamp": "'1337-01-31 10:00'", "timestamptz": "'1337-01-31 10:00Z'", "time": "'13:37'",
    "timetz": "'13:37Z'", "interval": "'1337 days'", "uuid": "'31337313-0000-4000-8000-000000000001'",
    "inet": "'13.37.13.37'", "cidr": "'13.37.0.0/16'", "macaddr": "'13:37:13:37:13:37'", "money": "'1337'",
    "text[]": "ARRAY['SECRET', NULL]", "int4[]": "ARRAY[31337]", "uuid[]": "'{31337313-0000-4000-8000-000000000001}'",
    "int4range": "'[31337, 31338)'", "point": "'(31337, 1)'", "text[][]": "'{{SECRET}}'", "bit(4)": "'1010'",
}  # fmt: skip
NO_NEUTRAL = {"int4range", "point", "text[][]", "bit(4)"}
"""Types of which nothing is left: NULL."""
SIGNS = [b"SECRET", b"SECRET".hex().encode(), b"1337", b"1010", b"7a69", b"31337313", b"13.37", b"0d25"]


async def ask_for_all(place: Place, *, binary: bool) -> dict[str, Any]:
    found = {}
    async with await place.psycopg.connect(place.dsn, autocommit=True) as connection:
        for type_ in TYPES:
            cursor = connection.cursor(binary=binary)
            try:
                await cursor.execute(f"SELECT hidden FROM secrets_of_{list(TYPES).index(type_)}".encode())  # noqa: S608 - a number
                assert cursor.pgresult is not None
                found[type_] = cursor.pgresult.get_value(0, 0)
            except Exception as error:
                raise AssertionError(type_) from error
    return found


@pytest.mark.parametrize("binary", [False, True])
async def test_no_value_of_any_type_is_left_and_postgresql_takes_the_new_ones(
    binary: bool, postgres: PostgresServer
) -> None:
    admin = await asyncpg.connect(postgres.dsn)
    for number, (type_, value) in enumerate(TYPES.items()):
        await admin.execute(f"DROP TABLE IF EXISTS secrets_of_{number}")
        await admin.execute(f"CREATE TABLE secrets_of_{number} AS SELECT {value}::{type_} AS hidden")
    async with listened_to(postgres) as (place, recorder):
        await ask_for_all(place, binary=binary)
        recording = recorder.recording(app="app", recorded_at=NOW)
    neutral = without_values(recording)
    lines = [line for line in to_lines(neutral) if line.startswith('{"statement": "SELECT hidden')]
    assert len(lines) == len(TYPES)
    for line in lines:
        answers = json.dumps(json.loads(line)["answers"]).encode()
        assert not [sign for sign in SIGNS if sign in answers.split(b'"seconds"')[0].split(b'"tag"')[0]], line
    got, _ = await asyncio.to_thread(replayed, neutral, lambda place: ask_for_all(place, binary=binary))
    assert {type_ for type_, value in got.items() if value is None} == NO_NEUTRAL
    if not binary:
        for type_, value in got.items():
            if value is not None:
                await admin.fetchval(f"SELECT $1::text::{type_}", value.decode())
    await admin.close()


class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class Base(DeclarativeBase):
    pass


class Keeper(Base):
    __tablename__ = "keepers"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    mood: Mapped[Mood] = mapped_column(postgresql.ENUM(Mood, name="keepers_mood"))
    animals: Mapped[list["Animal"]] = relationship(order_by="Animal.id")


class Animal(Base):
    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    keeper_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("keepers.id"))


async def keepers(place: Place) -> Any:
    engine = create_async_engine(place.url("asyncpg"), connect_args={"ssl": False})
    async with AsyncSession(engine) as session:
        found = await session.scalars(select(Keeper).options(selectinload(Keeper.animals)).order_by(Keeper.email))
        answer = [(keeper.email, keeper.mood, [animal.name for animal in keeper.animals]) for keeper in found]
    await engine.dispose()
    return answer


async def test_an_orm_application_runs_on_neutral_values(postgres: PostgresServer) -> None:
    engine = create_async_engine(postgres.dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session, session.begin():
        for number in (1, 2, 3):
            keeper = Keeper(id=uuid.uuid4(), email=f"keeper{number}@secret", mood=Mood.WILD)
            keeper.animals = [Animal(name=f"secret {count}") for count in range(number)]
            session.add(keeper)
    await engine.dispose()
    admin = await asyncpg.connect(postgres.dsn)
    enums = [row["oid"] for row in await admin.fetch(ENUMS_SQL)]
    await admin.close()
    async with listened_to(postgres) as (place, recorder):
        await keepers(place)
        recording = recorder.recording(app="app", recorded_at=NOW, enums=enums)
    neutral = without_values(recording)
    got, server = await asyncio.to_thread(replayed, neutral, keepers)
    # Who belongs to whom, how many there are, and the enum are as they were.
    assert [(len(email), mood, len(animals)) for email, mood, animals in got] == [
        (14, Mood.WILD, 1), (14, Mood.WILD, 2), (14, Mood.WILD, 3),
    ]  # fmt: skip
    assert len({email for email, _, _ in got}) == 3
    assert server.replay.counts.missed == 0
    assert "secret" not in "".join(to_lines(neutral))
    assert "secret" in "".join(to_lines(recording))


def test_what_is_no_value_stays_and_the_file_says_so(tmp_path: Any) -> None:
    error = {"S": "ERROR", "V": "ERROR", "C": "23505", "M": "SECRET", "D": "SECRET", "n": "t_pkey"}
    recording = Recording(
        app="app:app",
        parameters={"server_version": "18.1"},
        statements=(
            Statement(
                sql="INSERT INTO t VALUES ($1, 'a literal')", types=(25,), seconds=Seconds(1, 0.5, 0.5, 0.5),
                answers=(Answer(values=(b"SECRET",), formats=(0,), error=error), Answer(values=(None,), formats=(0,))),
            ),
            Statement(
                sql="select pg_catalog.version()", columns=(Column("version", 25, -1),),
                answers=(Answer(results=(0,), rows=((b"PostgreSQL 18.1",),), tag="SELECT 1"),),
            ),
            Statement(
                sql="SELECT a FROM pg_class, t", columns=(Column("a", 25, -1, -1, 16_400, 1),),
                answers=(Answer(results=(0,), rows=((b"SECRET",),), tag="SELECT 1"),),
            ),
        ),
    )  # fmt: skip
    write(without_values(recording), tmp_path / "neutral")
    neutral = read(tmp_path / "neutral")
    assert not neutral.has_values
    insert, version, mixed = neutral.statements
    assert insert.sql == "INSERT INTO t VALUES ($1, 'a literal')"
    assert insert.answers[0].values == (b"xxxxxx",)
    assert insert.answers[0].error == {
        "S": "ERROR", "V": "ERROR", "C": "23505", "n": "t_pkey", "M": "words removed from the recording",
    }  # fmt: skip
    assert insert.answers[1].values == (None,)
    assert version.answers[0].rows == ((b"PostgreSQL 18.1",),)
    assert mixed.answers[0].rows == ((b"xxxxxx",),)
    assert without_values(neutral) == neutral
