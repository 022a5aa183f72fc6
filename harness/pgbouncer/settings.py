"""What PgBouncer's files say: pure text, made of a `PgBouncer` and where its server is."""

from pathlib import Path

from harness.model.server import PgBouncer
from harness.processes.messages import ServePgBouncer

HOST = "127.0.0.1"


def configuration(pooler: PgBouncer, server: ServePgBouncer, *, port: int, users: Path) -> str:
    """The content of `pgbouncer.ini`; no secret is in it."""
    settings = {
        "listen_addr": HOST,
        "listen_port": port,
        # Empty: no socket in the file system.
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": users,
        # The console lets this user look: whoever can log in to it has found this PgBouncer and no other.
        "stats_users": server.user,
        "pool_mode": pooler.mode,
        "default_pool_size": pooler.default_pool_size,
        "max_client_conn": pooler.max_client_conn,
        "server_connect_timeout": _plain(pooler.server_connect_timeout_s),
        "server_login_retry": _plain(pooler.server_login_retry_s),
        "query_wait_timeout": _plain(pooler.query_wait_timeout_s),
        "server_idle_timeout": _plain(pooler.server_idle_timeout_s),
        "server_lifetime": _plain(pooler.server_lifetime_s),
        "client_login_timeout": _plain(pooler.client_login_timeout_s),
        "ignore_startup_parameters": ",".join(pooler.ignore_startup_parameters),
    }
    if pooler.max_prepared_statements is not None:
        settings["max_prepared_statements"] = pooler.max_prepared_statements
    lines = [f"{name} = {value}" for name, value in settings.items()]
    database = f"{server.database} = host={server.host} port={server.port} dbname={server.database}"
    return "\n".join(["[databases]", database, "", "[pgbouncer]", *lines, ""])


def user_list(server: ServePgBouncer) -> str:
    """The content of the auth file: the password in plain text, because PgBouncer logs in to the server with it too."""
    return f"{_quoted(server.user)} {_quoted(server.password)}\n"


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _plain(seconds: float) -> str:
    """Without an exponent, which PgBouncer does not read."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
