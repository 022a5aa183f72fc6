"""`coldstart worst`: the smallest story that breaks a configuration, found by a seeded search, as a scenario file.

A search draws stories within bounds until one misses an objective; delta debugging then takes away what that does not
need, in the order in which people read a story: events, requests, the wake, the arrivals (A. Zeller and R. Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002). Every trial is played in virtual time, and counted.
"""
