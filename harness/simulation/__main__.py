"""`python -m harness.simulation`: plays trials in virtual time, one after another, as a child of the harness.

A crash of a library's compiled code takes this process along and nothing else. What it writes and understands is in
harness/processes/messages.py; the end of its stdin ends it in the middle of a trial.
"""

import faulthandler
import os
import queue
import threading
from typing import get_args

from harness.converter import from_json
from harness.model.errors import UserError
from harness.model.times import Times
from harness.model.trial import Trial
from harness.processes.child import emit
from harness.processes.messages import (
    AnyCommand,
    PlayedTable,
    PlayTrial,
    RowsPlayed,
    SimulatorReady,
    TrialPlayed,
    TrialRefused,
    command_from,
)
from harness.simulation.trial import simulate

BATCH = 1000
"""Rows in one record: its line stays far below the length that the reader accepts."""


def main() -> None:
    # A crash of compiled code raises no exception: this writes into the log where it was.
    faulthandler.enable()
    received: queue.SimpleQueue[AnyCommand] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(received,), name="stdin", daemon=True).start()
    emit(SimulatorReady())
    while True:
        command = received.get()
        assert isinstance(command, PlayTrial)
        _play(command)


def _read(received: "queue.SimpleQueue[AnyCommand]") -> None:
    # Unbuffered below the lines: this thread is the only reader, and the process ends with it.
    with open(0, "rb", closefd=False) as stdin:
        for line in stdin:
            received.put(command_from(line))
    os._exit(0)


def _play(command: PlayTrial) -> None:
    trial = from_json(command.trial, Trial, where="a trial to play")
    times = from_json(command.times, Times, where="its times")
    try:
        rows = simulate(trial, times, sampled=command.sampled)
    except UserError as error:
        emit(TrialRefused(what=error.what, where=error.where, allowed=error.allowed))
        return
    for table in get_args(PlayedTable):
        table_rows = getattr(rows, table)
        for start in range(0, len(table_rows), BATCH):
            emit(RowsPlayed(table=table, rows=table_rows[start : start + BATCH]))
    emit(TrialPlayed())


if __name__ == "__main__":
    main()
