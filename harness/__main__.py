"""`python -m harness` is `coldstart`."""

import signal

# Until there is a command that could tidy up, Ctrl-C ends the program as it ends any other: without a traceback.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from harness.cli import main

if __name__ == "__main__":
    main()
