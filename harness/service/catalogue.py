"""The catalogue in the database: a schema and the same seeded rows every time."""

import secrets

import asyncpg

from harness.service.statements import ARTISTS, SCHEMA, TRACKS, artist, track


async def create_role(dsn: str, name: str, *, connections: int) -> str:
    """A role that may have this many connections at once, with the catalogue's rights; its password."""
    password = secrets.token_urlsafe(24)
    connection = await asyncpg.connect(dsn, ssl="prefer" if "sslmode" in dsn else False, timeout=60)
    try:
        await connection.execute(
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}' CONNECTION LIMIT {connections};"
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}"
        )
    finally:
        await connection.close()
    return password


async def create_catalogue(dsn: str) -> None:
    """Create the tables where they are missing and fill them; plays are emptied."""
    connection = await asyncpg.connect(dsn, ssl="prefer" if "sslmode" in dsn else False, timeout=60)
    try:
        async with connection.transaction():
            await connection.execute(SCHEMA)
            await connection.execute("TRUNCATE artists, tracks, plays")
            await connection.copy_records_to_table("artists", records=[artist(number) for number in range(ARTISTS)])
            await connection.copy_records_to_table("tracks", records=[track(number) for number in range(TRACKS)])
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
