"""The public keys for verifying tokens and assertions, as a local endpoint (RFC 7517 section 5)."""

from collections.abc import Callable, Mapping, Sequence

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from limen.exchange.clock import now

JwkSetSource = Callable[[float], Mapping[str, Sequence[Mapping[str, str]]]]
"""Returns the JWK Set of a time, in seconds since the epoch."""

# Seconds for which a copy may be used without a request. Whoever meets an unknown key id asks anyway.
_CACHE_SECONDS = 300


def publish(app: FastAPI, path: str, sets: Sequence[JwkSetSource]) -> None:
    """Answer GET ``path`` with the present keys of ``sets``; a key in two of them is listed once."""

    async def jwks() -> Response:
        when = now()
        keys = {key["kid"]: key for one in sets for key in one(when)["keys"]}
        return JSONResponse(
            {"keys": list(keys.values())},
            headers={"cache-control": f"public, max-age={_CACHE_SECONDS}"},
            media_type="application/jwk-set+json",
        )

    app.add_api_route(path, jwks, methods=["GET"], include_in_schema=False)
