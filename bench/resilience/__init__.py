"""``python -m bench.resilience``: what clients notice when one of three targets of a service goes bad."""
