"""PostgreSQL from a wheel, for throw-away data: started, password-protected on loopback, and gone with its parent."""

from harness.postgres.server import PostgresServer, embedded_postgres

__all__ = ["PostgresServer", "embedded_postgres"]
