"""The same kind of service on psycopg: an engine made at startup, sessions, an upsert."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.engine = create_async_engine(os.environ["DATABASE_URL"])
    yield
    await app.state.engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/counters/{name}")
async def read_counter(name: int, request: Request) -> dict[str, int]:
    async with request.app.state.engine.connect() as connection:
        value = await connection.scalar(text("SELECT value FROM counters WHERE name = :name"), {"name": name})
    return {"value": value or 0}


@app.post("/counters/{name}")
async def count(name: int, request: Request) -> dict[str, int]:
    upsert = text(
        "INSERT INTO counters VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1"
        " RETURNING value"
    )
    async with request.app.state.engine.begin() as connection:
        return {"value": await connection.scalar(upsert, {"name": name}) or 0}
