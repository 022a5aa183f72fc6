"""What a scenario file says of a sleeping database: `profile("neon", latency_s=8)`."""

from harness.model.distribution import Constant, Empirical, LogNormal
from harness.model.wake import PROFILES, WakeProfile, profile

__all__ = ["PROFILES", "Constant", "Empirical", "LogNormal", "WakeProfile", "profile"]
