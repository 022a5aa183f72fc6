"""A configuration in the words that one types: DATABASE_* lines, the call of its library, a diff of an env file."""

import difflib
from collections.abc import Mapping
from io import StringIO
from typing import Any

from dotenv.parser import parse_stream

from harness.model.application import Application
from harness.model.driver import Driver
from harness.model.pool import PoolConfiguration
from harness.model.pool_library import PoolLibrary
from harness.model.typed import as_typed

SHOWN = ("pool_size", "max_overflow", "connection_timeout", "pool_timeout", "statement_timeout")
"""Settings that are always among the lines; others where they differ from the defaults."""


def environment(pool: PoolConfiguration, application: Application | None = None) -> dict[str, str]:
    """The variables that set this configuration; an application's by its own names, as far as it has some."""
    others = [name for name in pool.beyond_defaults if name not in SHOWN]
    return as_typed(pool, [*SHOWN, *others], application).variables


def call(pool: PoolConfiguration) -> str:
    """The call that makes such a pool, with the library's own names."""
    own = pool.of_library
    psycopg = pool.runs_on is Driver.PSYCOPG
    connecting: dict[str, Any] = (
        {"connect_timeout": int(pool.connection_timeout_s)}
        if psycopg
        else {"timeout": pool.connection_timeout_s or None, "command_timeout": pool.client_statement_timeout_s or None}
    )
    if pool.server_statement_timeout_s:
        milliseconds = f"{pool.server_statement_timeout_s * 1000:.0f}"
        connecting |= (
            {"options": f"-c statement_timeout={milliseconds}"}
            if psycopg
            else {"server_settings": {"statement_timeout": milliseconds}}
        )
    match pool.pool_library:
        case PoolLibrary.ASYNCPG:
            sizes = {"min_size": pool.pool_size, "max_size": pool.capacity}
            arguments = {**sizes, "max_inactive_connection_lifetime": own.max_idle_s, **connecting}
            made = _called("asyncpg.create_pool", "dsn", arguments)
            return f"{made}\npool.acquire(timeout={_python(pool.queue_timeout_s)})"
        case PoolLibrary.PSYCOPG_POOL:
            arguments = {
                "min_size": pool.pool_size, "max_size": pool.capacity, "timeout": pool.queue_timeout_s,
                "max_idle": own.max_idle_s, "reconnect_timeout": own.reconnect_timeout_s, "kwargs": connecting,
            }  # fmt: skip
            if own.pool_recycle_s:
                arguments["max_lifetime"] = own.pool_recycle_s
            return _called("AsyncConnectionPool", "conninfo", arguments)
        case PoolLibrary.SQLALCHEMY:
            return _called(
                "create_async_engine", "url",
                {
                    "pool_size": pool.pool_size, "max_overflow": pool.max_overflow,
                    "pool_timeout": pool.queue_timeout_s, "pool_recycle": own.pool_recycle_s or -1,
                    "pool_pre_ping": own.pool_pre_ping, "pool_use_lifo": own.use_lifo, "connect_args": connecting,
                },
            )  # fmt: skip


def _called(function: str, first: str, arguments: Mapping[str, Any]) -> str:
    lines = [f"    {name}={_python(value)}," for name, value in arguments.items()]
    return "\n".join([f"{function}(", f"    {first},", *lines, ")"])


def _python(value: Any) -> str:  # noqa: ANN401 - of an argument
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}": {_python(of)}' for name, of in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def changed(text: str, lines: Mapping[str, str]) -> str:
    """An env file's text with these variables set: in their places, and the others at its end."""
    parts, missing = [], dict(lines)
    for binding in parse_stream(StringIO(text)):
        string = binding.original.string
        if binding.key is not None and binding.key in lines:
            missing.pop(binding.key, None)
            # What stands before the name stays, `export` too; the last of several lines counts, so each is changed.
            string = f"{string[: string.index(binding.key)]}{binding.key}={lines[binding.key]}\n"
        parts.append(string)
    before = "".join(parts)
    apart = "" if not before or before.endswith("\n") else "\n"
    return before + apart + "".join(f"{name}={value}\n" for name, value in missing.items())


def diff(path: str, text: str, lines: Mapping[str, str]) -> str:
    """The unified diff that sets these variables in an env file; empty: they are set.

    It has no lines around the changed ones: an env file has secrets.
    """
    after = changed(text, lines).splitlines()
    return "\n".join(difflib.unified_diff(text.splitlines(), after, fromfile=path, tofile=path, n=0, lineterm=""))
