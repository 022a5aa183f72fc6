"""The first half of a session: the startup packet, authentication, and the first ReadyForQuery."""

import re
from collections.abc import Callable, Mapping

from harness.model.compute import ErrorResponse
from harness.model.packets import Message, ProtocolViolationError, Reader, Startup
from harness.model.protocol import CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST
from harness.simulation import wire
from harness.simulation.exchange import Exchange
from harness.simulation.postmaster import Postmaster
from harness.simulation.scram import MECHANISM, Challenge, WrongPasswordError

ENCRYPTION_REQUESTS = (SSL_REQUEST, GSSENC_REQUEST)
"""What a client may ask before the startup packet proper; both are declined, and it goes on in the clear."""


OPTION = re.compile(r"(?:-c\s*|--)statement_timeout=(\S+)")
"""As libpq's `options` say it: a server's command line."""
UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0}


def _statement_timeout_s(parameters: Mapping[str, str]) -> float:
    """The limit that a client asks for as it connects: asyncpg by its name, libpq in `options`. 0: none."""
    given = [*OPTION.findall(parameters.get("options", "")), parameters.get("statement_timeout", "")]
    limit = re.fullmatch(r"(\d+)(ms|s|min)?", next(filter(None, given), "0"))
    return int(limit[1]) * UNITS_S[limit[2] or "ms"] if limit else 0.0


class Authentication:
    """Carries out what a client sends until it is welcome.

    client                                    server
    SSLRequest, GSSENCRequest (optional) ──▶
                                         ◀──  N
    StartupMessage                       ──▶
                                         ◀──  SASL            without a password: straight to the last line
    SASLInitialResponse                  ──▶
                                         ◀──  SASLContinue
    SASLResponse                         ──▶
                                         ◀──  SASLFinal, AuthenticationOk, ParameterStatus …, ReadyForQuery
    """

    __slots__ = (
        "_challenge", "_exchange", "_key", "_postmaster", "_process_id", "_secret", "_statement_timeout_s",
        "_welcomed", "failure",
    )  # fmt: skip

    def __init__(
        self,
        postmaster: Postmaster,
        exchange: Exchange,
        *,
        key: object,
        process_id: int,
        secret: int,
        welcomed: Callable[[float], None],
    ) -> None:
        """`welcomed` is called once, with the statement timeout that the client asked for (0: none)."""
        self._postmaster = postmaster
        self._exchange = exchange
        self._key = key
        self._process_id = process_id
        self._secret = secret
        self._welcomed = welcomed
        self._statement_timeout_s = 0.0
        self._challenge: Challenge | None = None
        self.failure: ErrorResponse | None = None
        """The error that answers the startup packet, when the compute wants the connection to fail."""

    def carry_out(self, packet: Startup | Message) -> None:
        if isinstance(packet, Startup):
            self._start(packet)
        else:
            self._authenticate(packet)

    def _start(self, packet: Startup) -> None:
        if packet.code in ENCRYPTION_REQUESTS:
            self._exchange.out += b"N"
            self._exchange.flush()
        elif packet.code == CANCEL_REQUEST:
            reader = Reader(packet.body)
            self._postmaster.cancel(reader.int4(), reader.int4())
            self._exchange.close()
        elif packet.code >> 16 != wire.PROTOCOL_3 >> 16:
            self._exchange.violated(ProtocolViolationError(f"unsupported frontend protocol {packet.code >> 16}"))
        elif self.failure is not None:
            self._exchange.terminate(self.failure)
        elif (refused := self._postmaster.refusal(self._key)) is not None:
            # PostgreSQL counts its backends before it asks who is there: this needs no password.
            self._exchange.terminate(refused)
        else:
            self._statement_timeout_s = _statement_timeout_s(packet.parameters())
            self._identify()

    def _admit_role(self) -> None:
        """The role is known now. PostgreSQL counts the role's sessions, and those it is refusing are among them."""
        if self._postmaster.limits.role_connection_limit is None:
            self._welcome()
            return
        self._postmaster.session_began(self._key)
        # After all that come at this very moment have been counted.
        self._postmaster.loop.call_soon(self._count_role)

    def _count_role(self) -> None:
        if (refused := self._postmaster.role_refusal()) is not None:
            self._exchange.terminate(refused)
        else:
            self._welcome()

    def _identify(self) -> None:
        """Ask who it is; where everybody is trusted, welcome it."""
        if self._postmaster.password is None:
            self._exchange.after(
                self._postmaster.draw_connect_s(), self._admit_role, cpu_s=self._postmaster.connect_cpu_s
            )
        else:
            self._exchange.out += wire.authentication(10, wire.text(MECHANISM) + b"\0")
            self._exchange.flush()

    def _authenticate(self, packet: Message) -> None:
        exchange, password = self._exchange, self._postmaster.password
        if packet.type != "p" or password is None:
            raise ProtocolViolationError(f"expected a password response, got message type {packet.type!r}")
        try:
            if self._challenge is None:
                reader = Reader(packet.body)
                if reader.string() != MECHANISM:
                    raise ProtocolViolationError("client selected an invalid SASL authentication mechanism")
                first = reader.take(reader.int4()).decode()
                salt, nonce = self._postmaster.draw_salt_and_nonce()
                self._challenge = Challenge.to(first, password=password, salt=salt, nonce=nonce)
                exchange.out += wire.authentication(11, self._challenge.server_first.encode())
                exchange.flush()
            else:
                exchange.out += wire.authentication(12, self._challenge.verify(packet.body.decode()).encode())
                exchange.after(
                    self._postmaster.draw_connect_s(), self._admit_role, cpu_s=self._postmaster.connect_cpu_s
                )
        except (WrongPasswordError, UnicodeDecodeError):
            exchange.terminate(ErrorResponse("FATAL", "28P01", "password authentication failed"))

    def _welcome(self) -> None:
        # First, so that whatever ReadyForQuery sets off finds a session that carries out statements.
        self._welcomed(self._statement_timeout_s)
        self._exchange.out += wire.AUTHENTICATION_OK
        for name, value in self._postmaster.parameters.items():
            self._exchange.out += wire.parameter_status(name, value)
        self._exchange.out += wire.backend_key_data(self._process_id, self._secret)
        self._exchange.ready("I")
