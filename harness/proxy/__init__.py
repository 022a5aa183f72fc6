"""A Toxiproxy server of our own: its API and its toxics, and the wake-up as such beside them."""

from harness.proxy.server import serve

__all__ = ["serve"]
