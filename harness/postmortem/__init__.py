"""A draft of a postmortem from a run: what happened and why, and what each setting would have changed."""

from harness.postmortem.draft import NAME
from harness.postmortem.write import write

__all__ = ["NAME", "write"]
