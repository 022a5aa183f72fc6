"""What a session carries out itself: transactions with their savepoints, and channels.

Source: PostgreSQL's documentation, "BEGIN", "SAVEPOINT", "ROLLBACK TO SAVEPOINT", "LISTEN".
"""

import re
from collections.abc import Callable

from harness.model.compute import ErrorResponse
from harness.model.protocol import encoded
from harness.simulation import wire
from harness.simulation.source import StatementError

BEGIN = frozenset({"BEGIN", "START"})
COMMIT = frozenset({"COMMIT", "END"})
ROLLBACK = frozenset({"ROLLBACK", "ABORT"})
CHANNELS = frozenset({"LISTEN", "UNLISTEN", "NOTIFY"})
SAVEPOINTS = frozenset({"SAVEPOINT", "RELEASE"})
BACK_TO = re.compile(r"ROLLBACK(?: WORK| TRANSACTION)? TO(?: SAVEPOINT)? (.+)", re.IGNORECASE)
"""The one use of ROLLBACK that ends no transaction."""
ENDS = COMMIT | ROLLBACK
SESSION_WORDS = BEGIN | ENDS | CHANNELS | SAVEPOINTS | {""}
"""The first words of the statements that the session carries out itself; the empty statement has the empty word."""
NO_TRANSACTION = ("25P01", "{} can only be used in transaction blocks")
NO_SAVEPOINT = ("3B001", 'savepoint "{}" does not exist')
IN_FAILED_TRANSACTION = (
    "25P02", "current transaction is aborted, commands ignored until end of transaction block",
)  # fmt: skip


class Transaction:
    """One session's: whether it is in one, its savepoints, and the channels it listens to."""

    __slots__ = ("_notify", "_savepoints", "channels", "status")

    def __init__(self, notify: Callable[[str, str], None]) -> None:
        """`notify(channel, payload)` tells every session that listens."""
        self._notify = notify
        self._savepoints: list[str] = []
        """Of the transaction, in their order; two may have the same name."""
        self.status = "I"
        """As ReadyForQuery says it: idle, in a transaction, in a failed one."""
        self.channels: dict[str, None] = {}
        """A dict as an ordered set: the order in which a client is told must not depend on the hash seed."""

    def turn_to(self, status: str) -> None:
        """A transaction begins (`T`) or ends (`I`), and its savepoints with it."""
        self._savepoints.clear()
        self.status = status

    def carry_out(self, word: str, sql: str) -> bytes:
        """The answer to a statement of `SESSION_WORDS`. Raises `StatementError`."""
        notice = b""
        if word in BEGIN:
            if self.status == "T":
                words = "there is already a transaction in progress"
                notice = encoded(ErrorResponse("WARNING", "25001", words), notice=True)
            self.status = "T"
            tag = "BEGIN" if word == "BEGIN" else "START TRANSACTION"
        elif word in SAVEPOINTS or (word in ROLLBACK and BACK_TO.fullmatch(sql)):
            self._use_savepoint(word, sql)
            tag = word
        elif word in ENDS:
            self._savepoints.clear()
            tag = "COMMIT" if word in COMMIT and self.status != "E" else "ROLLBACK"
            self.status = "I"
        elif word in CHANNELS:
            self._use_channel(word, sql)
            tag = word
        else:
            return wire.EMPTY_QUERY_RESPONSE
        return notice + wire.command_complete(tag)

    def _use_savepoint(self, word: str, sql: str) -> None:
        """Sets a savepoint, forgets it, or goes back to it. Raises `StatementError` where there is none."""
        back = BACK_TO.fullmatch(sql)
        name = (back.group(1) if back else sql[len(word) :].strip()).strip()
        name = re.sub(r"^SAVEPOINT\s+", "", name, flags=re.IGNORECASE).strip('"')
        if self.status == "I":
            raise StatementError(NO_TRANSACTION[0], NO_TRANSACTION[1].format("ROLLBACK TO SAVEPOINT" if back else word))
        if word == "SAVEPOINT":
            self._savepoints.append(name)
            return
        if name not in self._savepoints:
            raise StatementError(NO_SAVEPOINT[0], NO_SAVEPOINT[1].format(name))
        newest = len(self._savepoints) - 1 - self._savepoints[::-1].index(name)
        # Going back keeps the savepoint itself; releasing it does not.
        del self._savepoints[newest + (back is not None) :]
        self.status = "T"

    def _use_channel(self, word: str, sql: str) -> None:
        channel, _, payload = sql[len(word) :].strip().partition(",")
        name = channel.strip().strip('"')
        if word == "LISTEN":
            self.channels[name] = None
        elif word == "UNLISTEN":
            self.channels = {} if name == "*" else {channel: None for channel in self.channels if channel != name}
        else:
            self._notify(name, payload.strip().strip("'"))
