"""The exit statuses of `coldstart`."""

EXIT_NOT_REPRODUCED = 1
"""Something that a scenario expects, or a prediction, was not so; or two trials that are compared differ."""
EXIT_USER = 2
"""Bad input."""
EXIT_STACK = 3
"""A part of a stack could not start, or died."""
EXIT_MISSED = 4
"""An objective or a rule is missed, or a condition of `--fail-if` holds."""
EXIT_UNKNOWN = 5
"""A trial was no measurement; or no objective is known to be missed, and one of them can't be judged for that."""
EXIT_INTERRUPTED = 130
"""Ctrl-C."""
