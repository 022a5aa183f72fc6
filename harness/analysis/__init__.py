"""What is made of a run: summaries, comparison, findings, verdicts, charts. Reads a run's files and nothing else."""

from harness.analysis.load import Run, load

__all__ = ["Run", "load"]
