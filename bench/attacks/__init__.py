"""``python -m bench.attacks``: what one hostile client, or service, takes from everybody else."""
