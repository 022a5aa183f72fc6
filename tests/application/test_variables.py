"""`--env`: ready mappings, pairs of one's own, and both together."""

import pytest

from harness.application.variables import PRESETS, read_variables
from harness.model.application import ADDRESS
from harness.model.errors import UserError
from harness.model.pool import SETTINGS


def read(*texts: str) -> dict[str, str]:
    return {one.carries: one.text.partition("=")[2] for one in read_variables(texts)}


def test_without_an_address_the_url_is_in_database_url() -> None:
    assert read() == {"url": "DATABASE_URL"}
    assert read("pool_size=POOL") == {"url": "DATABASE_URL", "pool_size": "POOL"}
    assert read("host=DB_HOST") == {"host": "DB_HOST"}


def test_later_ones_come_in_place_of_earlier_ones() -> None:
    assert read("url=A", "url=B,pool_timeout=WAIT:ms") == {"url": "B", "pool_timeout": "WAIT:ms"}
    assert read("prefect, pool_size=MINE")["pool_size"] == "MINE"
    assert read("url=MINE", "prefect")["url"] == "PREFECT_API_DATABASE_CONNECTION_URL"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_ready_mapping_carries_an_address_and_settings_that_there_are(preset: str) -> None:
    found = read(preset)
    assert found == PRESETS[preset]
    assert set(found) <= {*ADDRESS, *SETTINGS}
    assert {"url", "host"} & found.keys()


def test_the_services_own_mapping_has_every_setting_but_what_it_is_made_of() -> None:
    assert set(read("database")) == {"url", *SETTINGS} - {"driver", "pool_library"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "--env: no ready mapping 'nothing' (allowed: NAME=VARIABLE, or url, libpq, fastapi-template, data"),
        ("", "--env: no ready mapping ''"),
        ("colour=RED", "--env: no setting 'colour'"),
        ("driver=D", "--env: driver is not a variable's (allowed: --set driver=…)"),
        ("pool_library=P", "--env: pool_library is not a variable's"),
        ("url=", "--env: '' is not a variable's name (allowed: letters, digits and _)"),
        ("url=1A", "--env: '1A' is not a variable's name"),
        ("pool_timeout=T:min", "--env: no unit 'min' (allowed: s, ms)"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        read_variables([text])
    assert str(caught.value).startswith(says)
