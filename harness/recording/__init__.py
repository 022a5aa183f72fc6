"""An application's statements and PostgreSQL's answers: recorded on a proxy, and kept in a file.

Standard library and harness/model only, so that it runs inside of anybody's Python (3.11 or newer).
"""

from harness.recording.file import read, write
from harness.recording.model import CONNECTING, ENUMS_SQL, Answer, Column, Recording, RequestKind, Seconds, Statement
from harness.recording.neutral import without_values
from harness.recording.recorder import Recorder

__all__ = [
    "CONNECTING",
    "ENUMS_SQL",
    "Answer",
    "Column",
    "Recorder",
    "Recording",
    "RequestKind",
    "Seconds",
    "Statement",
    "read",
    "without_values",
    "write",
]
