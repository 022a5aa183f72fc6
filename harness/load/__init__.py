"""The load generator: Locust. Nothing else of the harness imports it, because it patches the process it is in."""
