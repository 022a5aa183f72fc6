"""One line for an application that runs by itself, so that its answers tell what their database did:

    from coldstart_guest import observed
    app = observed(app)

Nothing is installed: the folder of this file goes on PYTHONPATH, as in `PYTHONPATH=$(coldstart guest-path) uvicorn …`.
"""

import importlib.util
from pathlib import Path

_ENTER = Path(__file__).resolve().parent.parent / "enter.py"


def _find_coldstart() -> None:
    """Raises `ImportError` where it can't be in this process."""
    spec = importlib.util.spec_from_file_location("coldstart_guest_enter", _ENTER)
    assert spec is not None
    assert spec.loader is not None
    enter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(enter)
    if (why := enter.find_beside()) is not None:
        raise ImportError(why)


_find_coldstart()

from harness.guest.observed import observed, watch_engines  # noqa: E402 - it is found only now

watch_engines()

__all__ = ["observed"]
