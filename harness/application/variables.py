"""`--env`: which variables of an application's environment carry the database's address and the pool's settings.

A ready mapping's name, `NAME=VARIABLE` pairs, or both:
`--env prefect`, `--env url=DB_URL,pool_size=DB_POOL,pool_timeout=DB_WAIT:ms`.
"""

from collections.abc import Sequence

from harness.model.application import Variable
from harness.model.errors import UserError
from harness.model.pool import SETTINGS

DEFAULT = "url"
NOT_VARIABLES = frozenset({"pool_library", "driver"})
"""Settings that say what an application is made of, and not how it is set."""
PRESETS: dict[str, dict[str, str]] = {
    "url": {"url": "DATABASE_URL"},
    "libpq": {
        "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "database": "PGDATABASE",
    },
    "fastapi-template": {
        "host": "POSTGRES_SERVER", "port": "POSTGRES_PORT", "user": "POSTGRES_USER",
        "password": "POSTGRES_PASSWORD", "database": "POSTGRES_DB",
    },
    "database": {
        "url": "DATABASE_URL",
        **{name: f"DATABASE_{name.upper()}" for name in SETTINGS if name not in NOT_VARIABLES},
    },
    "prefect": {"url": "PREFECT_API_DATABASE_CONNECTION_URL"},
}  # fmt: skip
"""Ready mappings. What a mapping leaves out of the pool's settings, the engine is given as it is made."""


def read_variables(texts: Sequence[str]) -> tuple[Variable, ...]:
    """The variables that `--env` options name, later ones in place of earlier ones. Raises `UserError`.

    Without any part of an address the URL is in DATABASE_URL.
    """
    carried: dict[str, Variable] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        carries, equals, name = part.partition("=")
        if not equals:
            if part not in PRESETS:
                allowed = f"NAME=VARIABLE, or {', '.join(PRESETS)}"
                raise UserError(f"no ready mapping {part!r}", where="--env", allowed=allowed)
            carried |= {key: Variable(carries=key, name=variable) for key, variable in PRESETS[part].items()}
            continue
        if carries in NOT_VARIABLES:
            raise UserError(f"{carries} is not a variable's", where="--env", allowed=f"--set {carries}=…")
        name, _, unit = name.partition(":")
        carried[carries] = Variable(carries=carries, name=name, unit=unit)
    if not {"url", "host"} & carried.keys():
        carried = {"url": Variable(carries="url", name="DATABASE_URL"), **carried}
    return tuple(carried.values())
