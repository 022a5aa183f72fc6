"""Replay a serverless PostgreSQL cold start against the connection pools you are choosing between."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pg-coldstart")
except PackageNotFoundError:  # a source tree on the path without an install
    __version__ = "0+unknown"
