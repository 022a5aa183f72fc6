"""The model: pure values and functions on the standard library only."""
