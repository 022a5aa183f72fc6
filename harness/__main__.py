"""`python -m harness` is `coldstart`, and so is the installed program: before anything else it can hear a Ctrl-C."""

import os
import signal
from types import FrameType

from harness.model.exit_status import EXIT_INTERRUPTED


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    # Not by an exception: the commands' libraries are being imported, and some of them lose one on its way.
    try:
        os.write(2, b"coldstart: interrupted\n")
    finally:
        os._exit(EXIT_INTERRUPTED)


# Until there is a command that could tidy up. What is ignored (`nohup`, `&` in a script) stays ignored.
for _signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_signal) in (signal.default_int_handler, signal.SIG_DFL):
        signal.signal(_signal, _end_at_once)

from harness.cli import main  # noqa: E402 - only now

if __name__ == "__main__":
    main()
