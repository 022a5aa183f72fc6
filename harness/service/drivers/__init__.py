"""The drivers that an engine can run on: one file for everything that knows one, and `choose` for the choice."""

from harness.service.drivers.base import DatabaseDriver
from harness.service.drivers.choose import driver_named, libpq_version

__all__ = ["DatabaseDriver", "driver_named", "libpq_version"]
