"""The user's own application from outside: the files that describe it, and how it is started and simulated."""
