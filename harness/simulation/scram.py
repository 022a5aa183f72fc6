"""The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), as PostgreSQL does it."""

import base64
import hashlib
import hmac
from dataclasses import dataclass

ITERATIONS = 4096
MECHANISM = "SCRAM-SHA-256"


class WrongPasswordError(Exception):
    """The client's proof does not fit the password, or what it sent is no SCRAM at all."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The exchange after the client's first message. Salt and nonce are given, so that a simulation can be repeated."""

    client_first_bare: str
    server_first: str
    password: str
    salt: bytes

    @classmethod
    def to(cls, client_first: str, *, password: str, salt: bytes, nonce: str) -> "Challenge":
        """The challenge for a client's first message."""
        header, bare = client_first[:3], client_first[3:]
        fields = dict(part.split("=", 1) for part in bare.split(",") if "=" in part)
        if header not in ("n,,", "y,,") or "r" not in fields:
            raise WrongPasswordError(client_first)
        salted = base64.b64encode(salt).decode()
        return cls(bare, f"r={fields['r']}{nonce},s={salted},i={ITERATIONS}", password, salt)

    def verify(self, client_final: str) -> str:
        """The server's final message. Raises `WrongPasswordError`."""
        without_proof, _, proof = client_final.rpartition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, ITERATIONS)
        client_key = _hmac(salted, b"Client Key")
        auth_message = f"{self.client_first_bare},{self.server_first},{without_proof}".encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), auth_message)
        expected = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        nonce = self.server_first.split(",", 1)[0]
        if nonce not in without_proof.split(",") or base64.b64encode(expected).decode() != proof:
            raise WrongPasswordError(client_final)
        return f"v={base64.b64encode(_hmac(_hmac(salted, b'Server Key'), auth_message)).decode()}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
