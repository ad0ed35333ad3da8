"""What run.py starts, for all tests."""

BROWSER = None
SERVED = None
UPSTREAM = None
