"""Virtual time: an event loop whose clock jumps, an in-memory network, and a PostgreSQL that is simulated on it."""
