"""Addresses as a setting says them, with commas between: those of a service, and those of proxies."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def split(text: object) -> object:
    """Return the addresses in ``text``, if it is one; raises ValueError if an address is missing, or named twice."""
    if not isinstance(text, str):
        return text
    found = tuple(address.strip() for address in text.split(","))
    if not all(found):
        raise ValueError("an address is missing; write http://one:8000, or http://one:8000,http://two:8000 for several")
    if len(set(found)) < len(found):
        raise ValueError("an address is named twice; every process has its own")
    return found


# Not decoded as JSON, which pydantic-settings takes for lists. What an address may be is what ``Upstream`` says.
Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]


def split_networks(text: object) -> object:
    """Return the networks in ``text``, if it is one; an empty text has none. Raises ValueError if one is missing."""
    if not isinstance(text, str):
        return text
    found = tuple(network.strip() for network in text.split(",")) if text.strip() else ()
    if not all(found):
        raise ValueError("a network is missing; write 10.0.0.0/8, or 10.0.0.0/8,192.0.2.7 for several")
    return found


# What a network may be is what ``Trust`` says.
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_networks)]
