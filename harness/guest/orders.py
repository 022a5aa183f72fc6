"""What the harness tells the guest: which application, which pool, and where its database is; and a trial to play."""

import base64
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from harness.model.application import Application
from harness.model.pool import SETTINGS, PoolConfiguration
from harness.model.times import Times
from harness.model.trial import Trial

VARIABLE = "COLDSTART_GUEST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """In the environment, as JSON; nothing in it is secret."""

    app: str
    """`module:attribute`."""
    settings: Mapping[str, str]
    """The pool's, by the names of `--set`, as text."""
    set_elsewhere: tuple[str, ...]
    """Settings that the application reads from a variable of its own: its engine's arguments are left alone."""
    host: str
    """Of the database, as its next one."""
    port: int
    in_virtual_time: bool = False

    @classmethod
    def of(
        cls,
        *,
        app: str,
        pool: PoolConfiguration,
        set_elsewhere: tuple[str, ...],
        address: tuple[str, int],
        in_virtual_time: bool = False,
    ) -> Self:
        """For one pool configuration."""
        texts = {name: _text(value) for name, value in pool.to_json().items()}
        return cls(
            app=app,
            settings=texts,
            set_elsewhere=set_elsewhere,
            host=address[0],
            port=address[1],
            in_virtual_time=in_virtual_time,
        )

    @property
    def pool(self) -> PoolConfiguration:
        return PoolConfiguration().with_settings(
            {name: text for name, text in self.settings.items() if name in SETTINGS}
        )

    def to_environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        given = json.loads(environment[VARIABLE])
        return cls(**{**given, "set_elsewhere": tuple(given["set_elsewhere"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One trial of an application, as it is told."""

    trial: Trial
    times: Times
    sampled: bool
    application: Application
    environment: dict[str, str]
    """Its variables; the guest's own orders are among them."""

    @property
    def is_set_by_variables(self) -> bool:
        """Whether a setting of its pool is in its environment: then every trial has another one."""
        return any(variable.carries in SETTINGS for variable in self.application.variables)

    def to_text(self) -> str:
        """For a message: both ends run the same files, so a pickle is understood."""
        return base64.b64encode(pickle.dumps(self)).decode()

    @classmethod
    def from_text(cls, text: str) -> "Play":
        """From the parent, who has started this process: nobody else writes into its pipe."""
        play = pickle.loads(base64.b64decode(text))  # noqa: S301 - of the parent
        assert isinstance(play, cls)
        return play


def _text(value: object) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:.12g}" if isinstance(value, float) else str(value)
    )
