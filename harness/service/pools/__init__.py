"""The pools that an instance can have: one file for everything that knows a library, and `choose` for the choice."""

from harness.service.pools.base import PooledConnection, ServicePool
from harness.service.pools.choose import make_pool

__all__ = ["PooledConnection", "ServicePool", "make_pool"]
