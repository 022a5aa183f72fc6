"""Measurements: each module makes one table of docs/benchmarks.md, as a ratio of things run beside each other."""
