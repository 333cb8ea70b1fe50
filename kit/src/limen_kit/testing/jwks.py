"""JWK Sets as a gateway publishes them, good and bad."""

import json
from typing import Any

from joserfc.jwk import ECKey


def jwk(kid: str = "k", **changes: Any) -> dict[str, Any]:
    """Return the public part of a new key; a change to None removes the member."""
    members = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": kid} | changes
    return {name: value for name, value in members.items() if value is not None}


def jwk_set(*members: object) -> str:
    """Return a JWK Set of ``members``."""
    return json.dumps({"keys": members})


# A key with its private part, which must never be published.
PRIVATE_JWK = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "k"}
