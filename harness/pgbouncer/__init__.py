"""PgBouncer, the system's own program: one process a trial, on loopback, and gone with its parent."""

from harness.pgbouncer.server import running_pgbouncer

__all__ = ["running_pgbouncer"]
