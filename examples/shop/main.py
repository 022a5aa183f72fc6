"""A shop, as services are written: ORM models, a session a request, an enum, an array, JSON, a savepoint, a task."""

import enum
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ARRAY, JSON, ForeignKey, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    NEW = "new"
    PAID = "paid"


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[State] = mapped_column(default=State.NEW)
    tags: Mapped[list[str]] = mapped_column(ARRAY(String), default=list)
    notes: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    lines: Mapped[list["Line"]] = relationship(order_by="Line.id")


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    item: Mapped[str] = mapped_column(String(80))


class Coupon(Base):
    __tablename__ = "coupons"
    code: Mapped[str] = mapped_column(String(20), primary_key=True)


class NewOrder(BaseModel):
    items: list[str]
    coupon: str = "WELCOME"


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as one:
        yield one


Session = Annotated[AsyncSession, Depends(session)]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as one:
        if await one.get(Order, 1) is None:
            one.add_all(Order(tags=["a", "b"], notes={"n": "1"}, lines=[Line(item="tea")]) for _ in range(50))
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


def shown(order: Order) -> dict[str, object]:
    items = [line.item for line in order.lines]
    return {"id": order.id, "state": order.state.value, "tags": order.tags, "notes": order.notes, "items": items}


@app.get("/orders/{order_id}")
async def read_order(order_id: int, session: Session) -> dict[str, object]:
    found = await session.scalar(select(Order).where(Order.id == order_id).options(selectinload(Order.lines)))
    if found is None:
        raise HTTPException(404)
    return shown(found)


@app.get("/orders")
async def list_orders(session: Session, after: int = 0) -> list[dict[str, object]]:
    query = select(Order).where(Order.id > after).order_by(Order.id).limit(10).options(selectinload(Order.lines))
    return [shown(order) for order in await session.scalars(query)]


async def mark_paid(order_id: int) -> None:
    async with sessions.begin() as one:
        (await one.get_one(Order, order_id)).state = State.PAID


@app.post("/orders", status_code=201)
async def add_order(new: NewOrder, tasks: BackgroundTasks, session: Session) -> dict[str, int]:
    order = Order(lines=[Line(item=item) for item in new.items])
    session.add(order)
    try:
        async with session.begin_nested():
            session.add(Coupon(code=new.coupon))
    except IntegrityError:
        order.notes = {"coupon": "used before"}
    await session.commit()
    tasks.add_task(mark_paid, order.id)
    return {"id": order.id}
