"""What a request says of who asks: it belongs into no file, and a variable of the environment stands in its place."""

import re
from itertools import pairwise

SECRET = frozenset({
    "apikey", "auth", "authorization", "credential", "credentials", "csrf", "otp", "passphrase", "passwd", "password",
    "pin", "pwd", "secret", "session", "sessionid", "signature", "token", "xsrf",
})  # fmt: skip
KEYS = frozenset({"access", "api", "private", "secret"})
"""Before the word `key`."""
API_TOKEN = "API_TOKEN"  # noqa: S105 - the variable's name


def words_of(name: str) -> list[str]:
    """A name's words in lower case: `X-Api-Key`, `api_key` and `apiKey` have the same."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def is_secret(name: str) -> bool:
    """Whether what a field or a header of this name holds is a credential."""
    words = words_of(name)
    pairs = pairwise(words)
    return not SECRET.isdisjoint(words) or any(first in KEYS and second == "key" for first, second in pairs)


def variable_of(name: str) -> str:
    """The variable that stands for it, such as PASSWORD; API_TOKEN for the Authorization header."""
    if name.lower() == "authorization":
        return API_TOKEN
    text = "_".join(words_of(name)).upper()
    return text if text and not text[0].isdigit() else API_TOKEN


def in_its_place(name: str, value: str) -> str:
    """What stands for the value: `${PASSWORD}`; an Authorization keeps its scheme, as in `Bearer ${API_TOKEN}`."""
    scheme, space, _ = value.partition(" ")
    shown = f"{scheme} " if name.lower() == "authorization" and space else ""
    return f"{shown}${{{variable_of(name)}}}"
