"""Keys as a gateway publishes them, good and bad."""

import json
from typing import Any

from joserfc.jwk import ECKey


def jwk(kid: str = "k", **changes: Any) -> dict[str, Any]:
    """Return the public half of a new key; a change to None takes the member away."""
    found = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": kid} | changes
    return {name: value for name, value in found.items() if value is not None}


def keys(*members: object) -> str:
    """Return a JWK Set of ``members``."""
    return json.dumps({"keys": members})


# A key with its private half, which nobody should publish.
SECRET = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "k"}
