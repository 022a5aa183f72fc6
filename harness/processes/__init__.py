"""Child processes: starting and stopping them, and what parent and child say to each other."""
