"""The versions of the libraries that a trial in virtual time runs on."""

from importlib.metadata import version

from harness.service.drivers import libpq_version


def library_versions() -> dict[str, str]:
    """Of each library by name, as the manifest has them."""
    packages = ("sqlalchemy", "asyncpg", "psycopg")
    return {package: version(package) for package in packages} | {"libpq": libpq_version()}
