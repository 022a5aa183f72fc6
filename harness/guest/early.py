"""An application that is imported once, for many trials: its engines are made before there is a trial.

Importing takes most of a trial's time. A process that has imported the application is forked for each trial, whose
`Engines` then takes over the engines that the import made.
"""

import functools
from collections.abc import Callable
from typing import Any

import sqlalchemy
import sqlalchemy.engine.create
import sqlalchemy.ext.asyncio.engine
from sqlalchemy import URL, Engine, make_url

from harness.guest.application import AsgiApplication, NoApplicationError, find_application
from harness.model.errors import UserError

CreateEngine = Callable[..., Engine]


def replace_create_engine(create_engine: CreateEngine) -> None:
    """From now on this is SQLAlchemy's `create_engine`, under every name that it has there."""
    for module in (sqlalchemy, sqlalchemy.engine, sqlalchemy.engine.create):
        module.create_engine = create_engine  # type: ignore[attr-defined]
    sqlalchemy.ext.asyncio.engine._create_engine = create_engine  # type: ignore[attr-defined] # noqa: SLF001 - the name it has there


class EarlyImport:
    """The application, imported in this process before it is forked."""

    def __init__(self) -> None:
        self.create: CreateEngine = sqlalchemy.engine.create.create_engine
        """SQLAlchemy's own."""
        self.engines: list[tuple[Engine, URL]] = []
        """Those that the import made, with the application's own settings."""
        self.later: CreateEngine | None = None
        """What `create_engine` is once there is a trial, also for a module that has imported it by name."""
        self.application: AsgiApplication | None = None

    def load(self, name: str) -> bool:
        """Import it; whether that succeeded."""
        create = self.create

        @functools.wraps(create)
        def create_engine(url: str | URL, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's own
            if self.later is not None:
                return self.later(url, **options)
            engine = create(url, **options)
            self.engines.append((engine, make_url(url)))
            return engine

        replace_create_engine(create_engine)
        try:
            self.application = find_application(name)
        except (NoApplicationError, UserError):
            # Said by the trial's own process, which tries it again.
            return False
        return True
