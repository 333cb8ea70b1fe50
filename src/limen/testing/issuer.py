"""An outside issuer of tokens, as a service in memory: it publishes keys of its own, and makes tokens for tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from limen.auth.issuer.declared import Issuer
from limen.auth.jose.compact import sign_jws
from limen.auth.jose.jwk import Jwk
from limen.auth.jose.tenants import PLACE
from limen.exchange.clock import now as present

_LIFETIME = 600  # seconds
_TENANT = "tenant"
_KEY_SET = "/.well-known/jwks.json"
_CURVES = {"ES256": "P-256", "ES384": "P-384"}


class IssuerService:
    """The provider that ``issuer`` declares: an ASGI application for ``services=``, under the origin of the issuer's address.

    ``services={"https://id.example": IssuerService(issuer)}``; where ``jwks_uri`` has another origin, under that one too. It
    answers with a discovery document and a JWK Set, and ``token`` makes tokens that this gateway believes.
    """

    def __init__(self, issuer: Issuer) -> None:
        """Make a key of the algorithm that ``issuer`` accepts: of several, the one that is made fastest."""
        self._issuer = issuer
        self._key = _key(min(issuer.algorithms, key=lambda name: name not in _CURVES))
        home = issuer.keys or issuer.location
        assert home is not None  # an issuer that is no address has one of its keys
        key_set = issuer.keys or home.at(_KEY_SET)
        document = {"issuer": issuer.url, "jwks_uri": f"{key_set.origin}{key_set.target.decode()}"}
        self._documents: dict[str, Any] = {place.path: document for place in issuer.documents()}
        self._documents[key_set.path] = {"keys": [self._key.public()]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a document; any other path is a 404."""
        if scope["type"] != "http":
            raise RuntimeError(f"an issuer serves no {scope['type']}")  # so a server finds out that it has no lifespan
        found = self._documents.get(scope["path"])
        await JSONResponse(found, 404 if found is None else 200)(scope, receive, send)

    def token(
        self,
        subject: int | str,
        role: str | Sequence[str] | None = None,
        *,
        scopes: Sequence[str] = (),
        now: float | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """Return a token for ``subject``, which begins at ``now``, in seconds since the epoch, by default the present.

        ``role`` is what the provider says, before ``roles=`` of the issuer renames it; ``claims`` come on top. Raises
        ValueError for a role where the issuer declares no ``role_claim``.
        """
        issuer, begins = self._issuer, int(present() if now is None else now)
        content: dict[str, Any] = {
            "iss": issuer.url.replace(PLACE, (issuer.tenants or [_TENANT])[0]),
            "aud": issuer.audiences[0],
            "iat": begins,
            "exp": begins + _LIFETIME,
        }
        _put(content, issuer.id_claim, subject)
        if role is not None:
            if issuer.role_claim is None:
                raise ValueError(f"Issuer {issuer.url!r} declares no role_claim=, so no role of its tokens counts")
            _put(content, issuer.role_claim, role if isinstance(role, str) else list(role))
        if scopes:
            _put(content, issuer.scope_claim, " ".join(scopes))
        return sign_jws(self._key, {**content, **(claims or {})})

    def as_caller(
        self,
        subject: int | str,
        role: str | Sequence[str] | None = None,
        *,
        scopes: Sequence[str] = (),
        now: float | None = None,
    ) -> Mapping[str, str]:
        """Return the headers of a request by that caller; the arguments are those of ``token``."""
        return {"authorization": f"Bearer {self.token(subject, role, scopes=scopes, now=now)}"}


def _key(algorithm: str) -> Jwk:
    key: ECKey | OKPKey | RSAKey
    if algorithm in _CURVES:
        key = ECKey.generate_key(_CURVES[algorithm])
    elif algorithm == "EdDSA":
        key = OKPKey.generate_key("Ed25519")
    else:
        key = RSAKey.generate_key(2048)
    return Jwk(key.thumbprint(), algorithm, key, "")


def _put(claims: dict[str, Any], name: str | Sequence[str], value: object) -> None:
    """Set a claim; dots in its name are a path into objects, as in ``realm_access.roles``."""
    *path, last = name.split(".") if isinstance(name, str) else name
    for step in path:
        claims = claims.setdefault(step, {})
    claims[last] = value
