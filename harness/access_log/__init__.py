"""Logs of requests: reading one, putting it in the place of a `Replay`, cutting it into stretches of one rate."""

from harness.access_log.cut import Stretch, peak, stretches
from harness.access_log.read import read_log
from harness.access_log.replayed import with_logs_read

__all__ = ["Stretch", "peak", "read_log", "stretches", "with_logs_read"]
