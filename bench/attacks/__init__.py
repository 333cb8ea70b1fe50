"""``python -m bench.attacks``: how one hostile client, or service, affects all other clients."""
