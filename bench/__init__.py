"""Measures gateways on this machine: ``python -m bench`` over sockets, ``python -m bench.micro`` without."""
