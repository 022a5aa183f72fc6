"""A pool's settings as one types them: the variables that carry them, and what none carries."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.model.application import Application
from harness.model.pool import ENVIRONMENT_PREFIX, PoolConfiguration


@dataclass(frozen=True, slots=True)
class Typed:
    """Some settings of a pool, as text."""

    variables: dict[str, str] = field(default_factory=dict)
    """The variables that carry them: `DATABASE_POOL_SIZE`, or an application's own."""
    others: dict[str, str] = field(default_factory=dict)
    """The settings that no variable of the application carries, by their own names."""


def as_typed(pool: PoolConfiguration, names: Iterable[str], application: Application | None) -> Typed:
    """These settings of the pool; without an application they are the service's DATABASE_ variables."""
    typed, values, texts = Typed(), pool.to_json(), pool.to_environment()
    for name in names:
        own = ENVIRONMENT_PREFIX + name.upper()
        if application is None:
            typed.variables[own] = texts[own]
        elif (variable := application.variable(name)) is not None:
            typed.variables[variable.name] = variable.of(values[name])
        else:
            typed.others[name] = texts[own]
    return typed
