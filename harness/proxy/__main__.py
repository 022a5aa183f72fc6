"""`python -m harness.proxy PORT`: the server as a child of the harness."""

import sys

from harness.model.errors import StackError
from harness.proxy.server import serve_as_child

if __name__ == "__main__":
    try:
        serve_as_child(host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    except StackError as error:
        sys.exit(str(error))
