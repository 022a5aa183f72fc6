"""`python -m harness.up.proxy PARENT FOLDER`: the proxy server as a child that also removes its parent's folder.

Only when the parent, by its process id, was killed: otherwise the parent does it.
"""

import os
import shutil
import sys
from functools import partial

from harness.model.errors import StackError
from harness.processes.child import when_orphaned
from harness.proxy.server import serve_as_child


def _remove(parent: int, folder: str) -> None:
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    clean_up = partial(_remove, int(sys.argv[1]), sys.argv[2])
    when_orphaned(clean_up)
    try:
        serve_as_child(host="127.0.0.1", port=0)
    except StackError as error:
        sys.exit(str(error))
    finally:
        clean_up()
