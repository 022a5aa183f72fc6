"""A PostgreSQL that really sleeps, for clients of one's own: the `compute` service of docker-compose.yml."""
