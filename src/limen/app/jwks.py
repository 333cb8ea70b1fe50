"""The public keys that others verify our signatures with, as a local endpoint (RFC 7517 section 5)."""

from collections.abc import Callable, Mapping, Sequence
from time import time

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

KeysNow = Callable[[float], Mapping[str, Sequence[Mapping[str, str]]]]
"""A JWK Set as of a time, in seconds since the epoch."""

# Seconds for which a copy may be used without asking. Whoever meets an unknown key id asks anyway.
_FRESH = 300


def publish(app: FastAPI, path: str, sets: Sequence[KeysNow]) -> None:
    """Answer GET ``path`` with the keys of ``sets``, as they are then; a key that is in two of them is told once."""

    async def jwks() -> Response:
        now = time()
        keys = {key["kid"]: key for one in sets for key in one(now)["keys"]}
        return JSONResponse(
            {"keys": list(keys.values())},
            headers={"cache-control": f"public, max-age={_FRESH}"},
            media_type="application/jwk-set+json",
        )

    app.add_api_route(path, jwks, methods=["GET"], include_in_schema=False)
