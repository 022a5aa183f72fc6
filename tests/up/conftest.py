"""A runtime folder of the test's own, so that nobody else's `coldstart up` is found, and sleeps that take a moment."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.wake import WakeProfile, profile

WAKE_S = 0.3
QUIET_S = 0.5


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folder of every `up` of this test is made."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def short() -> WakeProfile:
    """Asleep after half a second of quiet, awake in 0.3 s."""
    return replace(profile("neon", latency_s=WAKE_S), suspend_after_s=QUIET_S)
