"""File descriptors: a storm of clients may not take those that the API needs."""

import resource

from harness.processes.open_files import ENOUGH

RESERVE = 64
"""Kept for the API, the listening ports and the log."""


class DescriptorBudget:
    """How many connections this process may have: each needs two descriptors, its client's and its upstream's.

    A held connection has only the first. The second is kept for it, so that a wake does not find none left.
    """

    def __init__(self, limit: int | None = None) -> None:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
        self._most = max(1, ((ENOUGH if soft == resource.RLIM_INFINITY else soft) - RESERVE) // 2)
        self._connections = 0

    @property
    def has_room(self) -> bool:
        return self._connections < self._most

    def take(self) -> None:
        self._connections += 1

    def give_back(self) -> None:
        self._connections -= 1
