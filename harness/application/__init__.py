"""The user's own application, as the command line and its files describe it."""
