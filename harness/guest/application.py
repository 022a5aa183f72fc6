"""Finding the application in its own environment: `module:attribute`, an ASGI application or what makes one."""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

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
    except Exception as error:
        raise NoApplicationError(f"{name}: importing it failed: {type(error).__name__}: {error}") from error
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise NoApplicationError(f"{name}: {module_name} has no {attribute}") from None
    if makes_one(found):
        try:
            found = found()
        except Exception as error:
            raise NoApplicationError(f"{name}: calling it failed: {type(error).__name__}: {error}") from error
    if not callable(found) or takes_two(found):
        raise NoApplicationError(f"{name} is not an ASGI application")
    application: AsgiApplication = found
    return application


def makes_one(found: Any) -> bool:  # noqa: ANN401 - anything
    """Whether it can be called without arguments: a factory."""
    if not callable(found) or isinstance(found, type):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return not asyncio.iscoroutinefunction(found)


def takes_two(found: Any) -> bool:  # noqa: ANN401 - anything
    """Whether it is a WSGI application, by its arguments."""
    try:
        inspect.signature(found).bind(None, None, None)
    except TypeError:
        return True
    except ValueError:
        return False
    return False
