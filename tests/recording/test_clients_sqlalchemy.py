"""SQLAlchemy's ORM on both drivers through the recorder, then the same code in virtual time: the same results."""

import asyncio
import enum
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import ForeignKey, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from sqlalchemy.types import String

from harness.postgres import PostgresServer
from tests.recording.tap import Place, recorded, replayed

pytestmark = pytest.mark.anyio


class Temper(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    name: Mapped[str]
    mood: Mapped[Temper]
    tags: Mapped[list[str]] = mapped_column(ARRAY(String))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    balance: Mapped[Decimal | None]
    pets: Mapped[list["Pet"]] = relationship(back_populates="owner", order_by="Pet.name")


class Pet(Base):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("owners.id"))
    owner: Mapped[Owner] = relationship(back_populates="pets")


NUMBERS = [uuid.UUID(int=number) for number in range(1, 6)]


@asynccontextmanager
async def engine_at(place: Place, driver: str) -> AsyncIterator[AsyncEngine]:
    creator = {"async_creator": partial(place.psycopg.connect, place.dsn)} if driver == "psycopg" else {}
    arguments = {} if driver == "psycopg" else {"connect_args": {"ssl": False}}
    engine = create_async_engine(place.url(driver), pool_size=3, max_overflow=0, **creator, **arguments)
    try:
        yield engine
    finally:
        await engine.dispose()


async def the_application(place: Place, driver: str) -> Any:
    found: list[Any] = []
    async with engine_at(place, driver) as engine:
        async with AsyncSession(engine) as session, session.begin():
            for number in NUMBERS:
                owner = Owner(
                    id=number, name=f"owner {number.int}", mood=Temper.WILD, tags=["a", "b, c"], facts={"n": number.int}
                )
                owner.pets = [Pet(name=f"pet {count} of {number.int}") for count in range(number.int)]
                session.add(owner)
        async with AsyncSession(engine) as session:
            owners = await session.scalars(select(Owner).options(selectinload(Owner.pets)).order_by(Owner.name))
            found += [
                (one.id, one.name, one.mood, one.tags, one.facts, [pet.name for pet in one.pets]) for one in owners
            ]
            some = select(Owner.name).where(Owner.id.in_(NUMBERS[:3])).order_by(Owner.name)
            found.append(list(await session.scalars(some)))
            found.append(await session.get(Owner, uuid.UUID(int=77)))
            try:
                async with session.begin_nested():
                    await session.execute(
                        insert(Owner).values(id=NUMBERS[0], name="", mood=Temper.CALM, tags=[], facts={})
                    )
            except IntegrityError as error:
                found.append(type(error.orig).__name__)
            await session.execute(
                update(Owner).where(Owner.id == NUMBERS[1]).values(balance=Decimal("12.50"), mood=Temper.CALM)
            )
            await session.commit()
            found.append((await session.execute(select(Owner.balance, Owner.mood).where(Owner.id == NUMBERS[1]))).one())
            found.append((await session.execute(select(func.count()).select_from(Pet))).scalar_one())
            streamed = await session.stream(select(Pet.name).order_by(Pet.name), execution_options={"yield_per": 4})
            found.append([name async for name in streamed.scalars()])
            found.append((await session.execute(text("SELECT 1 + :one"), {"one": 1})).scalar_one())
        async with engine.connect() as connection:
            await connection.execute(select(func.now()))
            found.append(isinstance((await connection.execute(select(func.now()))).scalar_one(), datetime))
            found.append(datetime(2026, 1, 1, tzinfo=UTC))
    return [tuple(row) if hasattr(row, "_mapping") else row for row in found]


async def at_once(place: Place, driver: str) -> Any:
    async with engine_at(place, driver) as engine:

        async def ask(number: int) -> Any:
            async with AsyncSession(engine) as session:
                return [
                    one.facts for one in await session.scalars(select(Owner).where(Owner.id == NUMBERS[number % 5]))
                ]

        return await asyncio.gather(*[ask(number) for number in range(40)])


async def set_up(postgres: PostgresServer) -> None:
    engine = create_async_engine(postgres.dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_orm_application_gets_the_same_from_the_recording(driver: str, postgres: PostgresServer) -> None:
    await set_up(postgres)

    async def both(place: Place) -> Any:
        return await the_application(place, driver), await at_once(place, driver)

    got, recording = await recorded(postgres, both)
    again, server = await asyncio.to_thread(replayed, recording, both)
    assert again == got
    assert server.replay is not None
    counts = server.replay.counts
    assert (counts.by_shape, counts.last, counts.missed, counts.missed_texts) == (0, 0, 0, {})
    assert not recording.notes
