"""What the guest changes in SQLAlchemy is put back: here it runs in the tests' own process."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
import sqlalchemy
import sqlalchemy.engine.create
import sqlalchemy.ext.asyncio.engine
from sqlalchemy.pool import Pool

from harness.guest.engines import Engines
from harness.guest.orders import Orders
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer
from harness.service.observation import PoolWatch

QUICK = PoolConfiguration(
    pool_size=1, max_overflow=0, pool_timeout_s=0.3, connection_timeout_s=0.3, statement_timeout_s=0.3
)
TakePart = Callable[..., Engines]


@pytest.fixture
def watch() -> PoolWatch:
    return PoolWatch()


@pytest.fixture
def take_part(monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer, watch: PoolWatch) -> TakePart:
    """Engines that lead to the tests' PostgreSQL are seen from now on, with this pool's settings."""
    for module in (sqlalchemy, sqlalchemy.engine, sqlalchemy.engine.create):
        monkeypatch.setattr(module, "create_engine", module.create_engine)  # type: ignore[attr-defined]
    module = sqlalchemy.ext.asyncio.engine
    monkeypatch.setattr(module, "_create_engine", module._create_engine)  # type: ignore[attr-defined]
    monkeypatch.setattr(Pool, "connect", Pool.connect)

    def take(pool: PoolConfiguration = QUICK, *, set_elsewhere: tuple[str, ...] = (), **address: Any) -> Engines:
        reached = (address.get("host", postgres.host), address.get("port", postgres.port))
        orders = Orders.of(app="main:app", pool=pool, set_elsewhere=set_elsewhere, address=reached)
        engines = Engines(orders, watch, now_s=monotonic)
        engines.take_part()
        return engines

    return take
