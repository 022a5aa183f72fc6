"""A scenario file is read as it is at that moment, and nothing is written beside it."""

import os
from pathlib import Path

import pytest

from harness.library import load_scenario

SOURCE = """
from harness.scenario import Burst, Scenario, Suspend, Warm

SCENARIO = Scenario(name="mine", wake=8, pools=("{size}+0",), timeline=(Suspend(), Burst(requests=20, over_s=1)))
"""


def test_a_change_within_a_second_to_a_file_as_long_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    mine = tmp_path / "mine.py"
    sizes = []
    for size in (5, 6):
        mine.write_text(SOURCE.format(size=size))
        os.utime(mine, (1_700_000_000, 1_700_000_000))
        (pool,) = load_scenario(str(mine)).pool_configurations
        sizes.append(pool.pool_size)
    assert sizes == [5, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
