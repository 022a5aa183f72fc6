"""An application in ten lines: one engine, one query."""

import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
app = FastAPI()


@app.get("/items/{item_id}")
async def read_item(item_id: int) -> dict[str, str]:
    async with engine.connect() as connection:
        name = await connection.scalar(text("SELECT name FROM items WHERE id = :id"), {"id": item_id})
    return {"name": name}
