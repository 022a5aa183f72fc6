"""Wake latencies from a file of one's own measurements."""

import random
from pathlib import Path

import pytest

from harness.model.distribution import Empirical
from harness.model.errors import UserError
from harness.model.wake import profile, read_wake

NEON = profile("neon")


@pytest.mark.parametrize("text", ["0.5\n8\n", "seconds,note\n0.5,quick\n8,slow\n\n"])
def test_measurements_are_drawn_with_or_without_a_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "measured.csv").write_text(text)
    for text_of_it in (f"{tmp_path}/measured.csv", f"xata:{tmp_path}/measured.csv"):
        wake = read_wake(text_of_it).applied_to(NEON)
        assert wake.latency == Empirical((0.5, 8.0))
        assert {wake.latency.draw(random.Random(seed)) for seed in range(20)} == {0.5, 8.0}
    assert wake.name == "xata"


@pytest.mark.parametrize(
    ("text", "says"), [("", "is empty"), ("seconds\n", "line 1"), ("0.5\nsoon\n", "line 2"), ("-1\n", "0 or positive")]
)
def test_a_file_without_latencies_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "measured.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        read_wake(f"{tmp_path}/measured.csv")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_wake(f"{tmp_path}/nothing.csv")
