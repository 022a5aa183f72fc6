"""Trials in virtual time, played as a search needs them: the parts of `recommend`, `lint` and every search."""
