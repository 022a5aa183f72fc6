"""Summaries, comparison, findings, verdicts and charts of a run, from the run's files only."""

from harness.analysis.load import Run, load

__all__ = ["Run", "load"]
