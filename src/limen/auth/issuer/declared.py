"""Outside issuers: who issues tokens, and what of them is believed. Configuration only; nothing is fetched here.

An outside issuer says who its callers are. The gateway says what they may do: none of their roles counts until it is named,
and none of their ids can be mistaken for one of the system's own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from limen.auth.issuer.location import Location, issuer_location
from limen.auth.jose.claims import Claims
from limen.auth.jose.tenants import Tenants
from limen.auth.method import Method
from limen.upstream.declared import Timeouts
from limen.upstream.tls_declared import Tls

MOST_TOKEN = 65536
"""The most that ``token_size`` may be: a token is read before anything of it is verified."""
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/~-]{0,127}")
_PREFIX = re.compile(r"(?:[\x21-\x7e][\x20-\x7e]{0,127})?")
# A comma would make two roles of one in the header that services read.
_ROLE = re.compile(r"[\x21-\x2b\x2d-\x7e](?:[\x20-\x2b\x2d-\x7e]{0,254}[\x21-\x2b\x2d-\x7e])?")


@dataclass(frozen=True, slots=True)
class Issuer(Method):
    """Tokens of an OpenID provider or an authorization server (OpenID Connect Discovery, RFC 8414, RFC 9068).

    ``url`` is the issuer exactly as its tokens have it in ``iss``. Keys come from ``jwks_uri``, or from the address in the
    provider's discovery document; with ``jwks_uri``, ``url`` may be any text. With ``{tenantid}`` in it, as in Entra ID's, it
    stands for every tenant, or for those that ``tenants`` names; then each id has its tenant in front, ``"<tenant>:"``.

    Tokens must be made for ``audience``, or for one of several. The first of ``audience_claims`` that a token has says for
    whom it is made: without ``aud``, that is the client that got it. Only ``algorithms`` are ever accepted, whatever a token
    says. ``leeway`` is in seconds, for clocks that differ. ``token_size`` is the most bytes of a token.

    A caller's id is the claim ``id_claim`` behind ``id_prefix``. By default the prefix is ``"<name>:"``, so that the id 7 of
    an outside issuer is never the user 7 of this system; ``id_prefix=""`` is for issuers whose ids are the system's own. By
    default ``name`` is the issuer's address without its scheme. Two issuers whose ids could be the same are refused, unless
    both say ``shares_ids=True``: they know the same callers by the same ids, and neither would make up an id of the other.

    There are no roles unless ``role_claim`` names a claim. It may be a path with dots, such as ``realm_access.roles``, or the
    exact names one by one: ``("resource_access", "com.example.app", "roles")``. The claim is a text, a list, or an object
    whose keys are the roles. ``roles`` renames those that count and drops all others. Scopes are those of ``scope_claim``.

    ``refresh`` is the age in seconds at which keys are fetched again, while the old ones serve. An unknown key makes the
    gateway fetch at once, but not within ``floor`` seconds of the last time. While the provider cannot be reached, its keys
    serve until they are ``stale`` seconds old. ``cache`` bounds the cached tokens.

    ``tls`` is for an authority of one's own, or a client certificate, which is shown to the origin of ``url`` alone, or to
    that of ``jwks_uri`` if ``url`` is no address. ``allow_http`` gives up that protection: whoever is on the way can then
    sign in as anybody.

    Raises ValueError that says what to mend.
    """

    url: str
    audience: str | Sequence[str] = field(kw_only=True)
    audience_claims: Sequence[str] = field(default=("aud", "client_id", "azp"), kw_only=True)
    tenants: Sequence[str] | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    jwks_uri: str | None = field(default=None, kw_only=True)
    algorithms: Sequence[str] = field(default=("RS256", "ES256"), kw_only=True)
    leeway: float = field(default=30, kw_only=True)
    id_claim: str = field(default="sub", kw_only=True)
    id_prefix: str | None = field(default=None, kw_only=True)
    shares_ids: bool = field(default=False, kw_only=True)
    role_claim: str | Sequence[str] | None = field(default=None, kw_only=True)
    roles: Mapping[str, str] | None = field(default=None, kw_only=True, hash=False)
    scope_claim: str = field(default="scope", kw_only=True)
    token_size: int = field(default=16384, kw_only=True)
    cache: int = field(default=4096, kw_only=True)
    refresh: float = field(default=300, kw_only=True)
    floor: float = field(default=10, kw_only=True)
    stale: float = field(default=86400, kw_only=True)
    tls: Tls | None = field(default=None, kw_only=True)
    timeouts: Timeouts = field(default=Timeouts(connect=2, first_byte=5, idle=5, total=10), kw_only=True)
    allow_http: bool = field(default=False, kw_only=True)
    location: Location | None = field(init=False, repr=False, compare=False)
    keys: Location | None = field(init=False, repr=False, compare=False)
    claims: Claims = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse configurations that would protect nothing, or cannot work."""
        try:
            keys = None if self.jwks_uri is None else Location.parse(self.jwks_uri, allow_http=self.allow_http)
            location = issuer_location(self.url, keys, allow_http=self.allow_http)
        except ValueError as error:
            raise ValueError(f"Issuer: {error}") from None
        where = f"Issuer {self.url!r}"
        for option in ("audience", "audience_claims", "tenants", "role_claim"):
            value = getattr(self, option)
            object.__setattr__(self, option, value if value is None or isinstance(value, str) else tuple(value))
        self._check_audience(where)
        address = re.sub(r"[{}]", "", self.url.rpartition("://")[2].rstrip("/"))
        name = self.name or re.sub(r"[^A-Za-z0-9._/~-]", "_", address)[:128]
        if not _NAME.fullmatch(name):
            raise ValueError(f"{where}: name={name!r} may have letters, digits and ._/~-, and no colon; give another")
        self._check_algorithms(where)
        self._check_claims(where)
        self._check_numbers(where)
        places = [one for one in (location, keys) if one is not None]
        if self.tls is not None and not any(one.origin.startswith("https:") for one in places):
            raise ValueError(f"{where}: tls= is for https://, and this is http://")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "algorithms", tuple(self.algorithms))
        object.__setattr__(self, "roles", None if self.roles is None else dict(self.roles))
        object.__setattr__(self, "location", location)
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "claims", self._claims(name, where))

    @property
    def audiences(self) -> tuple[str, ...]:
        """What its tokens may be made for."""
        return (self.audience,) if isinstance(self.audience, str) else tuple(self.audience)

    def issues(self, issuer: str | None) -> bool:
        """Tell whether a token with this ``iss`` is one of its own, or of one of its tenants. Nothing is verified by it."""
        tenants = self.claims.tenants
        return issuer == self.url if tenants is None else bool(tenants.named(issuer))

    def documents(self) -> tuple[Location, ...]:
        """Return where the discovery document may be, the likeliest place first; nowhere for an issuer that is no address.

        OpenID Connect appends the well-known part to the issuer's path; RFC 8414 section 3.1 puts it before.
        """
        if self.location is None:
            return ()
        path = self.location.path.rstrip("/")
        places = (f"{path}/.well-known/openid-configuration", f"/.well-known/oauth-authorization-server{path}")
        return tuple(self.location.at(place) for place in places)

    def _claims(self, name: str, where: str) -> Claims:
        try:
            tenants = Tenants.of(self.url, self.tenants)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if self.tenants is not None and (tenants is None or not self.tenants):
            raise ValueError(
                f"{where}: tenants= names those that count of an issuer with {{tenantid}} in it; give one at least, or "
                "leave it out"
            )
        return Claims(
            issuer=self.url,
            audiences=self.audiences,
            leeway=self.leeway,
            id_claim=self.id_claim,
            role_claim=self.role_claim or (),
            scope_claim=self.scope_claim,
            audience_claims=tuple(self.audience_claims),
            tenants=tenants,
            id_prefix=f"{name}:" if self.id_prefix is None else self.id_prefix,
            role_names=self.roles,
            roles_needed=False,
        )

    def _check_audience(self, where: str) -> None:
        if not self.audiences or not all(one and one.isprintable() for one in self.audiences):
            raise ValueError(f"{where}: audience= is what its tokens must be made for, such as 'shop'")
        if isinstance(self.audience_claims, str) or not self.audience_claims or not all(self.audience_claims):
            raise ValueError(
                f"{where}: audience_claims= is a list of claims that say for whom a token is made, such as ['aud']"
            )

    def _check_algorithms(self, where: str) -> None:
        if isinstance(self.algorithms, str) or not self.algorithms:
            raise ValueError(f"{where}: algorithms is a list, such as ['RS256']")
        for algorithm in self.algorithms:
            if algorithm not in ASYMMETRIC:
                # A shared secret has no place here: whoever can verify with it can also issue.
                raise ValueError(f"{where}: algorithm {algorithm!r} is not one of {sorted(ASYMMETRIC)}")

    def _check_claims(self, where: str) -> None:
        for option in ("id_claim", "scope_claim"):
            if not getattr(self, option):
                raise ValueError(
                    f"{where}: {option}= names a claim, such as {'sub' if option == 'id_claim' else 'scope'!r}"
                )
        if self.role_claim is not None and not (self.role_claim and all(self.role_claim)):
            raise ValueError(
                f"{where}: role_claim={self.role_claim!r} names no claim; leave it out, and no role of the issuer counts"
            )
        if not _PREFIX.fullmatch(self.id_prefix or ""):
            raise ValueError(
                f"{where}: id_prefix= is printable ASCII that does not begin with a blank, such as 'partner:'"
            )
        if self.roles is not None and self.role_claim is None:
            raise ValueError(
                f"{where}: roles= renames what role_claim= finds; say which claim, such as role_claim='roles'"
            )
        for outside, inside in (self.roles or {}).items():
            if not _ROLE.fullmatch(inside):
                raise ValueError(
                    f"{where}: roles={{{outside!r}: {inside!r}}}: a role is printable ASCII without a comma"
                )

    def _check_numbers(self, where: str) -> None:
        if self.leeway < 0 or self.cache < 0:
            raise ValueError(f"{where}: leeway and cache must not be negative")
        if not 1024 <= self.token_size <= MOST_TOKEN:
            raise ValueError(f"{where}: token_size= is in bytes, from 1024 to {MOST_TOKEN}")
        if not 0 < self.floor <= self.refresh <= self.stale:
            raise ValueError(f"{where}: seconds must be more than 0, and floor <= refresh <= stale")
        for name in ("connect", "total"):
            if getattr(self.timeouts, name) is None:
                raise ValueError(
                    f"{where}: Timeouts({name}=...) must be given, or a slow provider is waited for without end"
                )


def usable_role(name: str) -> bool:
    """Tell whether services may get a role of a token as it is."""
    return _ROLE.fullmatch(name) is not None


def conflicting_issuers(issuers: Sequence[Issuer]) -> list[str]:
    """Return the conflicts between ``issuers``, one line each: the same issuer twice, or two whose ids could be the same."""
    conflicts: list[str] = []
    for index, one in enumerate(issuers):
        for other in issuers[:index]:
            same = sorted(set(one.audiences).intersection(other.audiences))
            if one.url == other.url and same:
                conflicts.append(
                    f"auth: the issuer {one.url!r} is named twice for the audience {same[0]!r}; leave one out"
                )
            elif _ids_collide(one, other):
                conflicts.append(
                    f"auth: callers of the issuers {other.url!r} and {one.url!r} could have the same id: the prefixes are "
                    f"{other.claims.id_prefix!r} and {one.claims.id_prefix!r}; give one another name= or id_prefix=, or "
                    "say shares_ids=True at both if they know the same callers by the same ids"
                )
    return conflicts


def _ids_collide(one: Issuer, other: Issuer) -> bool:
    """Tell whether two people could have one id: whoever may choose an id may write the other's prefix into it."""
    if (one.shares_ids and other.shares_ids) or (one.url == other.url and one.id_claim == other.id_claim):
        return False
    a, b = one.claims.id_prefix, other.claims.id_prefix
    return a.startswith(b) or b.startswith(a)
