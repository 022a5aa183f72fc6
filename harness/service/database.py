"""The one place that builds an engine, by the reference service's settings; every default that matters is given."""

import uuid
from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harness.model.pool import PoolConfiguration
from harness.service.observation import ObservedConnection, PoolWatch

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
NEVER_RECYCLE = -1


def create_engine(url: str | URL, pool: PoolConfiguration, *, watch: PoolWatch) -> AsyncEngine:
    """An engine on `postgresql+asyncpg://…` with this pool, watched by `watch`."""
    address = make_url(url)
    connect_args: dict[str, Any] = {
        # The reference's own: unique names and no caches, so that no prepared statement can conflict.
        "prepared_statement_name_func": lambda: f"__asyncpg_{uuid.uuid4()}__",
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        # asyncpg reads None as no timeout; its own default for connecting would be 60 s.
        "command_timeout": pool.statement_timeout_s or None,
        "timeout": pool.connection_timeout_s or None,
        "connection_class": ObservedConnection,
        **_tls(address),
    }
    if pool.server_statement_timeout_s:
        connect_args["server_settings"] = {"statement_timeout": f"{pool.server_statement_timeout_s * 1000:.0f}"}
    engine = create_async_engine(
        address,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool.pool_size,
        max_overflow=pool.max_overflow,
        pool_timeout=pool.queue_timeout_s,
        pool_recycle=pool.pool_recycle_s or NEVER_RECYCLE,
        pool_pre_ping=pool.pool_pre_ping,
        pool_use_lifo=pool.use_lifo,
        pool_reset_on_return="rollback",
        connect_args=connect_args,
    )
    watch.attach(engine)
    return engine


def connect_arguments(url: str | URL) -> dict[str, Any]:
    """Where `postgresql+asyncpg://…` leads, as asyncpg's own arguments: for a connection outside the pool."""
    address = make_url(url)
    return {**address.translate_connect_args(username="user"), **address.query, **_tls(address)}


def _tls(address: URL) -> dict[str, Any]:
    # asyncpg's default asks every server for TLS first, one round trip more.
    plain = address.host in LOOPBACK and "ssl" not in address.query and "sslmode" not in address.query
    return {"ssl": False} if plain else {}
