"""Real containers: where an engine answers and has the images (`tests/compose/stand-in-images.sh` builds stand-ins)."""

from collections.abc import Iterator

import pytest

from harness.compose import engine
from harness.model.errors import StackError


def _lacking() -> str | None:
    try:
        engine.engine()
        missing = engine.missing_images()
    except StackError as error:
        return str(error)
    return f"the engine has no image {missing[0]}: tests/compose/stand-in-images.sh builds one" if missing else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without an engine these tests are skipped, and say why."""
    mine = [item for item in items if item.path.parent.name == "compose"]
    if mine and (lacking := _lacking()) is not None:
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Afterwards there is no container, network or volume that was not there before."""
    before = everything()
    yield
    assert everything() == before


def everything() -> dict[str, set[str]]:
    client = engine.engine()
    return {
        "containers": {one.id for one in client.containers.list(all=True, ignore_removed=True)},
        "networks": {one.id for one in client.networks.list()},
        "volumes": {one.id for one in client.volumes.list()},
    }
