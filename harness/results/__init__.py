"""The files of a run: written as it goes, read back whatever became of it."""

from harness.results.folder import find_run, run_folders
from harness.results.manifest import Manifest
from harness.results.read import TABLES, read_manifest, read_table
from harness.results.writer import RunWriter

__all__ = ["TABLES", "Manifest", "RunWriter", "find_run", "read_manifest", "read_table", "run_folders"]
