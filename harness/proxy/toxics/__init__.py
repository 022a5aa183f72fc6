"""Toxiproxy's eight toxics, one file each, by the name its API gives them."""

from harness.proxy.toxics.bandwidth import Bandwidth
from harness.proxy.toxics.base import BadAttributeError, Chunk, Stub, Toxic
from harness.proxy.toxics.latency import Latency
from harness.proxy.toxics.limit_data import LimitData
from harness.proxy.toxics.noop import Noop
from harness.proxy.toxics.reset_peer import ResetPeer
from harness.proxy.toxics.slicer import Slicer
from harness.proxy.toxics.slow_close import SlowClose
from harness.proxy.toxics.timeout import Timeout

TOXICS: dict[str, type[Toxic]] = {
    toxic.type: toxic for toxic in (Noop, Latency, Bandwidth, SlowClose, Timeout, ResetPeer, Slicer, LimitData)
}

__all__ = ["TOXICS", "BadAttributeError", "Chunk", "ResetPeer", "Stub", "Toxic"]
