"""PostgreSQL and the real Toxiproxy in containers, by docker-compose.yml: up, watched, and down again."""
