"""The service under test: a small music catalogue behind FastAPI, a SQLAlchemy async engine and asyncpg."""
