"""A PostgreSQL that really sleeps, for any application: what `coldstart up` runs, and Python code can run too."""

from harness.up.blocking import SleepingPostgres, sleeping_postgres
from harness.up.database import RunningDatabase, running_database
from harness.up.history import Wake

__all__ = ["RunningDatabase", "SleepingPostgres", "Wake", "running_database", "sleeping_postgres"]
