"""The catalogue in the database: a schema and the same seeded rows every time."""

import secrets

from harness.model.server import ServerLimits
from harness.postgres.administering import administering
from harness.service.statements import ARTISTS, SCHEMA, TRACKS, artist, track


async def create_role(dsn: str, name: str, limits: ServerLimits) -> str:
    """A role with these limits and with the catalogue's rights; its password. Raises `StackError`."""
    settings = {
        "idle_in_transaction_session_timeout": limits.idle_in_transaction_session_timeout_s,
        "idle_session_timeout": limits.idle_session_timeout_s,
    }
    set_timeouts = "".join(
        f"ALTER ROLE {name} SET {setting} = {round(seconds * 1000)};"
        for setting, seconds in settings.items()
        if seconds is not None
    )
    connections = -1 if limits.role_connection_limit is None else limits.role_connection_limit
    password = secrets.token_urlsafe(24)
    async with administering(dsn) as connection:
        await connection.execute(
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}' CONNECTION LIMIT {connections};"
            f"{set_timeouts}"
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}"
        )
    return password


async def create_catalogue(dsn: str) -> None:
    """Create the tables where they are missing and fill them; plays are emptied. Raises `StackError`."""
    async with administering(dsn) as connection:
        async with connection.transaction():
            await connection.execute(SCHEMA)
            await connection.execute("TRUNCATE artists, tracks, plays")
            await connection.copy_records_to_table("artists", records=[artist(number) for number in range(ARTISTS)])
            await connection.copy_records_to_table("tracks", records=[track(number) for number in range(TRACKS)])
        await connection.execute("ANALYZE")
