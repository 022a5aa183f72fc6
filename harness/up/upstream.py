"""A database of the user's own, to be put behind a proxy: where it is, and its URL with the proxy's place in it."""

import ipaddress
import socket
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from harness.model.errors import UserError
from harness.proxy.addresses import joined

WHERE = "upstream"
ALLOWED = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, one host"
LOOPBACK = "127.0.0.1"
DIAL_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """A database by its DSN, as libpq reads it. Its repr shows no password."""

    host: str
    """The name that it is known by, to its certificate too."""
    address: str
    """Where it is dialled: `hostaddr` if the DSN has one, else the host."""
    port: int
    parameters: dict[str, str] = field(repr=False)
    """All others of the DSN."""

    @classmethod
    def read(cls, dsn: str) -> "Upstream":
        """Raises `UserError` for what is no DSN, or names no single host; it never repeats the DSN."""
        try:
            parameters = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
        except psycopg.ProgrammingError:
            raise UserError("is not a DSN", where=WHERE, allowed=ALLOWED) from None
        host = parameters.pop("host", "") or "localhost"
        address = parameters.pop("hostaddr", "") or host
        port = parameters.pop("port", "") or "5432"
        if address.startswith(("/", "@")):
            raise UserError("is a socket in a folder", where=WHERE, allowed=ALLOWED)
        if "," in host + address + port:
            raise UserError("has several hosts", where=WHERE, allowed=ALLOWED)
        if not port.isdecimal() or not 0 < int(port) <= 65_535:
            raise UserError("has a port that is none", where=WHERE, allowed=ALLOWED)
        return cls(host, address, int(port), parameters)

    @property
    def place(self) -> str:
        """`host:port`, for the proxy to dial."""
        return joined(self.address, self.port)

    def check_it_listens(self) -> None:
        """Raises `UserError` when nobody accepts a connection there."""
        try:
            socket.create_connection((self.address, self.port), timeout=DIAL_LIMIT_S).close()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self.place} can't be reached: {reason}", where=WHERE) from error

    def url_at(self, host: str, port: int) -> str:
        """The same database, reached at another place: for asyncpg, and wherever no certificate is verified."""
        # asyncpg would pass a setting of libpq's on to the server, which does not know it.
        own = {name: value for name, value in self.parameters.items() if name != "channel_binding"}
        return _url(own, joined(host, port))

    def libpq_url_at(self, host: str, port: int) -> str:
        """For psql and psycopg: they keep the host's own name, for TLS, and dial the other place."""
        if self.parameters.get("sslmode") == "disable" or _is_own_name(self.host):
            return _url(self.parameters, joined(host, port))
        return _url({**self.parameters, "hostaddr": host}, joined(self.host, port))


def _is_own_name(host: str) -> bool:
    """Whether nothing is lost without the name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _url(parameters: dict[str, str], place: str) -> str:
    rest = {name: value for name, value in parameters.items() if name not in ("user", "password", "dbname")}
    user, password, database = (quote(parameters.get(name, ""), safe="") for name in ("user", "password", "dbname"))
    who = f"{user}{':' * bool(password)}{password}@" if user or password else ""
    query = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return f"postgresql://{who}{place}/{database}{query}"
