"""A Toxiproxy server of our own: its API, its toxics, and a database that sleeps behind a proxy."""
