"""Finding the application in its own environment: `module:attribute`, an ASGI application or what makes one."""

import importlib
import inspect
import operator
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from harness.model.errors import UserError

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class NoApplicationError(Exception):
    """There is none where it was said to be; the text says why, in one line."""


def find_application(name: str) -> AsgiApplication:
    """Import `module:attribute`. What takes no arguments is called, and makes the application, as uvicorn does it.

    Raises `NoApplicationError`; what the module itself raises is in its words.
    """
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise NoApplicationError(f"{name}: no module {error.name!r} in its environment") from error
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise NoApplicationError(f"{name}: importing it failed: {in_a_line(error)}") from error
    try:
        found = operator.attrgetter(path)(found)
    except AttributeError:
        raise NoApplicationError(f"{name}: {module_name} has no {path}") from None
    if makes_one(found):
        try:
            found = found()
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise NoApplicationError(f"{name}: calling it failed: {in_a_line(error)}") from error
    if not callable(found) or takes_two(found):
        raise NoApplicationError(f"{name} is not an ASGI application")
    application: AsgiApplication = found
    return application


def in_a_line(error: BaseException) -> str:
    """The exception's name and words, which may be many lines (pydantic's, of settings that are missing)."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def makes_one(found: Any) -> bool:  # noqa: ANN401 - anything
    """Whether it can be called without arguments: a factory."""
    if not callable(found) or isinstance(found, type):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return not any(inspect.iscoroutinefunction(called) for called in (found, getattr(found, "__call__", None)))  # noqa: B004 - an instance's own


def takes_two(found: Any) -> bool:  # noqa: ANN401 - anything
    """Whether it is a WSGI application, by its arguments."""
    try:
        inspect.signature(found).bind(None, None, None)
    except TypeError:
        return True
    except ValueError:
        return False
    return False
