"""The addresses of a service, as a setting says them: one, or several with commas between."""

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
