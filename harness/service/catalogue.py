"""The catalogue in the database: a schema and the same seeded rows every time."""

import asyncpg

from harness.service.statements import ARTISTS, SCHEMA, TRACKS, artist, track


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
