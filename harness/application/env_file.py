"""The variables of an .env file. Its values may be secrets: no message repeats one."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Self

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from harness.model.errors import UserError

ALLOWED = "lines of NAME=value, as python-dotenv reads them"


@dataclass(frozen=True, slots=True)
class EnvFile:
    """An env file: its text, and what it sets."""

    path: Path
    text: str
    values: Mapping[str, str]
    """Its variables by name; a later line counts, and `${NAME}` is another variable's value.

    The process' own environment is not mixed in: the same file is the same configuration in every shell.
    """

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `UserError` for a file that can't be read, and for a line that python-dotenv would leave out."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise UserError(f"can't be read: {error.strerror}", where=str(path)) from None
        except ValueError:
            raise UserError("is not UTF-8", where=str(path), allowed=ALLOWED) from None
        for binding in parse_stream(StringIO(text)):
            if binding.error:
                where = f"{path}, line {binding.original.line}"
                raise UserError("is no line of such a file", where=where, allowed=ALLOWED)
        values = dotenv_values(stream=StringIO(text))
        return cls(path, text, {name: value for name, value in values.items() if value is not None})
