"""A PostgreSQL that really sleeps, for any application: what `coldstart up` runs, and Python code can run too."""

from harness.up.database import RunningDatabase, running_database
from harness.up.history import Wake

__all__ = ["RunningDatabase", "Wake", "running_database"]
