"""Which of asyncpg's errors say that a connection failed: for all that work by one."""

import asyncpg

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a network, a server and a closed connection raise, timeouts included; anything else is a bug.

asyncpg raises the last one when the server has ended the session and the connection's end has not arrived yet.
"""
