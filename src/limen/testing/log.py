"""The access log, for tests that read it."""

from limen.observe.access import LOG


def flush_log() -> None:
    """Write the collected lines of the access log. By itself it writes a line within 50 ms after its request has ended."""
    LOG.flush()
