"""What a supervisor and its workers agree on, which neither has to import the other for: a supervisor serves nothing."""

# What the supervisor of ``--reload`` writes to a worker, and what a worker does: that it serves; or, before a text, that it
# does not start.
GO = b"g"
SERVES = b"r"
FAILED = b"f"

# The most that is told about a failure, in bytes: less than what a socket takes without blocking.
LONGEST = 16 * 1024

# The exit status of an application that does not start, as uvicorn has it.
STARTUP_FAILURE = 3

# Seconds that requests cut at the bound get to clean up, and those that the end of the lifespan gets.
CLEANUP = 1.0
LIFESPAN = 3.0
