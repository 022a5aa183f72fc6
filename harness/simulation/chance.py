"""Chance in the libraries: psycopg_pool draws its jitter from the interpreter's own random numbers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def library_chance_of(seed: int) -> Iterator[None]:
    """While this lasts, the interpreter's random numbers are those of `seed`; afterwards they go on as before."""
    before = random.getstate()
    random.seed(f"libraries/{seed}")
    try:
        yield
    finally:
        random.setstate(before)
