"""The constants that a supervisor and its workers share. Neither has to import the other: a supervisor serves nothing."""

# On the control socket of ``--reload``. The supervisor writes GO; the worker writes SERVES, or FAILED followed by a text that
# says why it does not start.
GO = b"g"
SERVES = b"r"
FAILED = b"f"

# Bytes of that text at most: less than what a socket takes without blocking.
LONGEST = 16 * 1024

# The exit status when the application does not start, as uvicorn has it.
STARTUP_FAILURE = 3

# Seconds in which requests that were cut at a stop may clean up, and seconds for the shutdown of the lifespan.
CLEANUP = 1.0
LIFESPAN = 3.0
