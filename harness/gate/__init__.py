"""The gate: objectives that fail a build, judged on runs and compared with a baseline."""
