"""What providers of identity publish and issue: their discovery documents, key sets and access tokens, as cases.

The shapes are theirs, with every member that says something; the names and ids are made up. Each case is for one recipe of
docs/providers.md. Keys are made here: no provider is asked.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import RSAKey
from starlette.types import Receive, Scope, Send

from tokens import sign_with

KID = "5cI8K2wGzE9mQ1"
OPENID = "/.well-known/openid-configuration"
MICROSOFT = "https://login.microsoftonline.com"
TENANT = "8f3c1d52-6f0a-4a77-9d7e-1c2b3a4d5e6f"


@dataclass(frozen=True)
class ProviderCase:
    """A provider: what it publishes, one good token, and whom that names once the recipe has read it.

    ``documents`` are by address. ``jwk`` are members of the key that signs, besides the key itself; ``others`` are the rest
    of its set. ``caller``, ``roles`` and ``scopes`` are what a service is told.
    """

    name: str
    documents: Mapping[str, Any]
    keys_at: str
    claims: Mapping[str, Any]
    caller: str
    roles: str = ""
    scopes: str = ""
    header: Mapping[str, Any] = field(default_factory=dict[str, Any])
    jwk: Mapping[str, Any] = field(default_factory=dict[str, Any])
    others: tuple[Mapping[str, Any], ...] = ()
    kind: str = "application/json"

    def key_set(self) -> dict[str, Any]:
        """Return the key set as it is published."""
        public = {"kty": "RSA", "n": signing_key().as_dict(private=False)["n"], "e": "AQAB"}
        return {"keys": [*self.others, {**public, **self.jwk}]}

    def token(self, key: RSAKey | None = None, **changes: Any) -> str:
        """Return a token that begins now, signed with ``key``, or the provider's; a change to None leaves a claim out."""
        now = int(time.time())
        claims = {"iat": now - 5, "exp": now + 600, **self.claims, **changes}
        said = {name: value for name, value in claims.items() if value is not None}
        return sign_with(key or signing_key(), {"alg": "RS256", **self.header}, said).decode()

    def services(self) -> "dict[str, Published]":
        """Return the provider as services in memory, by origin."""
        documents = {**self.documents, self.keys_at: self.key_set()}
        found: dict[str, Published] = {}
        for address, document in documents.items():
            parts = urlsplit(address)
            published = found.setdefault(f"{parts.scheme}://{parts.netloc}", Published({}, self.kind))
            published.documents[parts.path] = document
        return found


@dataclass
class Published:
    """An ASGI application that answers with documents, by path."""

    documents: dict[str, Any]
    kind: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; any other path is a 404."""
        if scope["type"] != "http":
            raise RuntimeError("a provider has no lifespan")
        found = self.documents.get(scope["path"])
        headers = [(b"content-type", self.kind.encode())]
        await send({"type": "http.response.start", "status": 404 if found is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(found).encode()})


@cache
def signing_key() -> RSAKey:
    """Return the key of all providers of these cases."""
    return RSAKey.generate_key(2048)


def discovery(issuer: str, keys: str, **more: Any) -> dict[str, Any]:
    """Return a discovery document."""
    return {
        "issuer": issuer,
        "jwks_uri": keys,
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        **more,
    }


_NAMED = {"kid": KID, "alg": "RS256", "use": "sig"}
_HEAD = {"kid": KID, "typ": "JWT"}
_REALM = "https://id.example.com/realms/shop"
_AUTH0 = "https://example.eu.auth0.com/"
_POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"
_OKTA = "https://example.okta.com/oauth2/default"
_GOOGLE = "https://accounts.google.com"
_ZITADEL = "https://example.zitadel.cloud"
_UAA = "https://uaa.example.com"
_PLAIN = "https://login.example.com"
_ENCRYPTION = {"kty": "RSA", "kid": "enc", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"}

CASES = (
    ProviderCase(
        "Keycloak",
        {_REALM + OPENID: discovery(_REALM, f"{_REALM}/protocol/openid-connect/certs")},
        f"{_REALM}/protocol/openid-connect/certs",
        {
            "iss": _REALM,
            "aud": ["shop", "account"],
            "sub": "3f0c-ann",
            "typ": "Bearer",
            "azp": "shop-web",
            "sid": "9a1b",
            "acr": "1",
            "realm_access": {"roles": ["offline_access", "default-roles-shop"]},
            "resource_access": {"com.example.shop": {"roles": ["admin"]}, "account": {"roles": ["view-profile"]}},
            "scope": "openid orders:read",
            "email_verified": True,
        },
        "keycloak:3f0c-ann",
        "admin",
        "openid orders:read",
        _HEAD,
        {**_NAMED, "x5c": ["MIIC"], "x5t": "abc", "x5t#S256": "def"},
        (_ENCRYPTION,),
    ),
    ProviderCase(
        "Entra ID",
        {},
        f"{MICROSOFT}/common/discovery/v2.0/keys",
        {
            "iss": f"{MICROSOFT}/{TENANT}/v2.0",
            "aud": "0c1d2e3f-aaaa-4bbb-8ccc-121212121212",
            "tid": TENANT,
            "oid": "77aa-ann",
            "sub": "pairwise-for-this-application",
            "azp": "5e5e5e5e-web",
            "azpacr": "1",
            "groups": [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(200)],
            "roles": ["Shop.Admin"],
            "scp": "orders.read orders.write",
            "ver": "2.0",
            "uti": "u",
            "rh": "r",
        },
        f"entra:{TENANT}:77aa-ann",
        "admin",
        "orders.read orders.write",
        _HEAD,
        {
            "use": "sig",
            "kid": KID,
            "x5t": KID,
            "x5c": ["MIIC"],
            "cloud_instance_name": "microsoftonline.com",
            "issuer": f"{MICROSOFT}/{{tenantid}}/v2.0",
        },
    ),
    ProviderCase(
        "Auth0",
        {_AUTH0 + OPENID[1:]: discovery(_AUTH0, f"{_AUTH0}.well-known/jwks.json")},
        f"{_AUTH0}.well-known/jwks.json",
        {
            "iss": _AUTH0,
            "aud": ["https://api.shop.example", f"{_AUTH0}userinfo"],
            "sub": "auth0|ann",
            "azp": "q1w2e3",
            "scope": "openid orders:read",
            "https://shop.example/roles": ["admin"],
        },
        "auth0:auth0|ann",
        "admin",
        "openid orders:read",
        _HEAD,
        {**_NAMED, "x5c": ["MIIC"], "x5t": KID},
    ),
    ProviderCase(
        "Amazon Cognito",
        {_POOL + OPENID: discovery(_POOL, f"{_POOL}/.well-known/jwks.json")},
        f"{_POOL}/.well-known/jwks.json",
        {
            "iss": _POOL,
            "client_id": "4h5j6k7l",
            "sub": "c0ff-ann",
            "username": "ann",
            "cognito:groups": ["admin", "team one"],
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "version": 2,
            "origin_jti": "o",
            "event_id": "e",
        },
        "cognito:c0ff-ann",
        "admin",
        "aws.cognito.signin.user.admin",
        {"kid": KID},
        _NAMED,
    ),
    ProviderCase(
        "Okta",
        {_OKTA + OPENID: discovery(_OKTA, f"{_OKTA}/v1/keys")},
        f"{_OKTA}/v1/keys",
        {
            "iss": _OKTA,
            "aud": "api://default",
            "sub": "ann@example.com",
            "uid": "00u1ann",
            "cid": "0oa9",
            "ver": 1,
            "scp": ["openid", "orders:read"],
            "groups": ["Everyone", "Shop admins"],
        },
        "okta:00u1ann",
        "admin",
        "openid orders:read",
        {"kid": KID},
        _NAMED,
    ),
    ProviderCase(
        "Google",
        {_GOOGLE + OPENID: discovery(_GOOGLE, "https://www.googleapis.com/oauth2/v3/certs")},
        "https://www.googleapis.com/oauth2/v3/certs",
        {
            "iss": _GOOGLE,
            "azp": "123-web.apps.googleusercontent.com",
            "aud": "123.apps.googleusercontent.com",
            "sub": "1104815162342",
            "hd": "example.com",
            "email": "ann@example.com",
            "email_verified": True,
        },
        "google:1104815162342",
        header=_HEAD,
        jwk=_NAMED,
    ),
    ProviderCase(
        "Zitadel",
        {_ZITADEL + OPENID: discovery(_ZITADEL, f"{_ZITADEL}/oauth/v2/keys")},
        f"{_ZITADEL}/oauth/v2/keys",
        {
            "iss": _ZITADEL,
            "aud": ["2468@shop", "13579"],
            "sub": "1122",
            "client_id": "2468@shop",
            "urn:zitadel:iam:org:project:roles": {"admin": {"998": "example.com"}, "reader": {"998": "example.com"}},
        },
        "zitadel:1122",
        "admin,reader",
        header=_HEAD,
        jwk=_NAMED,
    ),
    ProviderCase(
        "Cloud Foundry UAA",
        {},
        f"{_UAA}/token_keys",
        {
            "iss": f"{_UAA}/oauth/token",
            "aud": ["shop", "openid"],
            "sub": "a1b2-ann",
            "user_id": "a1b2-ann",
            "cid": "shop-web",
            "azp": "shop-web",
            "client_id": "shop-web",
            "scope": ["openid", "orders.read"],
            "origin": "uaa",
            "zid": "uaa",
            "rev_sig": "12",
        },
        "uaa:a1b2-ann",
        scopes="openid orders.read",
        header={**_HEAD, "jku": f"{_UAA}/token_keys"},
        jwk={**_NAMED, "value": "-----BEGIN PUBLIC KEY-----"},
    ),
    ProviderCase(
        "Plain OpenID Connect",
        {_PLAIN + OPENID: discovery(_PLAIN, "https://files.example.com/keys.txt")},
        "https://files.example.com/keys.txt",
        {"iss": _PLAIN, "azp": "shop", "sub": "ann", "roles": ["admin", 7, "a,b"], "scope": "orders:read"},
        "login.example.com:ann",
        "admin",
        "orders:read",
        {"typ": "JOSE"},
        {"use": "sig"},
        kind="text/plain; charset=utf-8",
    ),
)
"""A case for each provider, in the order of the page."""
