"""The access log, for tests that read it."""

from limen.observe.access import LOG


def flush_log() -> None:
    """Write what is kept of the access log: its lines come together, 50 ms after a request has ended at the latest."""
    LOG.flush()
