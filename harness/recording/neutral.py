"""A recording without production's data."""

from harness.recording.model import Recording


def without_values(recording: Recording) -> Recording:
    return recording
