"""What comes into the process of a user's own application: it runs there, in the application's own environment.

Nothing is installed for it. `enter.py` is run by the application's interpreter and finds this package beside itself;
what it imports is the standard library, the parts of `harness` that need nothing else, and what the application has:
SQLAlchemy, its driver, and uvicorn in real time. Every variable that it reads begins with COLDSTART_.
"""
