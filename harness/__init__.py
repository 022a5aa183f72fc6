"""Replay a serverless PostgreSQL cold start against the connection pools you are choosing between."""

__version__: str


def __getattr__(name: str) -> str:
    # Not while this is imported: it takes tens of milliseconds, in which the program could not hear a Ctrl-C yet.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("pg-coldstart")
    except PackageNotFoundError:  # a source tree on the path without an install
        found = "0+unknown"
    globals()[name] = found
    return found
