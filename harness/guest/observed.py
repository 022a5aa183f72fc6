"""An application that runs by itself, observed: its own settings stay, and its answers say what their database did."""

import gc
from functools import cache
from time import monotonic
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.pool import QueuePool

from harness.guest.application import AsgiApplication
from harness.guest.asgi import ObservedApplication
from harness.guest.engines import Engines
from harness.guest.orders import Orders
from harness.model.pool import PoolConfiguration
from harness.service.observation import PoolWatch


class OwnEngines(Engines):
    """Every engine for PostgreSQL with a queue for a pool: watched, and as its application made it."""

    def __init__(self) -> None:
        # There are no orders: no trial's pool, and no one database.
        nobodys = Orders.of(app="", pool=PoolConfiguration(), set_elsewhere=(), address=("", 0))
        super().__init__(nobodys, PoolWatch(), now_s=monotonic)

    def see_those_made_before(self) -> None:
        """Watch the engines too that were made before anybody watched."""
        for found in gc.get_objects():
            # Some proxies raise whatever they like when they are asked for their class.
            if type(found) is Engine and not self.sees(found) and self._leads_here(found.url):
                self._see(found)

    def _leads_here(self, url: URL) -> bool:
        return url.drivername.startswith("postgresql")

    def _with_settings(self, url: URL, options: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - as its base has it
        return options

    def _unlike(self, engine: Engine) -> tuple[str, str] | None:
        return None if isinstance(engine.pool, QueuePool) else ("it has no queue", "a QueuePool")


@cache
def _engines() -> OwnEngines:
    engines = OwnEngines()
    engines.take_part()
    return engines


def watch_engines() -> None:
    """From now on every engine that this process makes is watched."""
    _engines()


def observed(application: AsgiApplication) -> ObservedApplication:
    """The ASGI application, its answers with `Server-Timing` and, where they fail, `Coldstart-Outcome`.

    It is the outermost: what a server is given. Starlette's and FastAPI's `add_middleware(observed)` does the same.
    """
    _engines().see_those_made_before()
    return ObservedApplication(application)
