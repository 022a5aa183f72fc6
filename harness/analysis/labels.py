"""What a run's trials are called where there is little room: without what all of them have in common."""

from collections.abc import Collection, Sequence

from harness.model.pool import PoolConfiguration


def in_common(pools: Sequence[PoolConfiguration]) -> list[str]:
    """What every pool's label says beyond its size: said once, it need not be said in every line."""
    labels = [pool.label.split()[1:] for pool in dict.fromkeys(pools)]
    return [setting for setting in labels[0] if all(setting in label for label in labels)] if len(labels) > 1 else []


def without(label: str, settings: Collection[str]) -> str:
    """A label without these settings."""
    for setting in settings:
        label = label.replace(f" {setting}", "", 1)
    return label
