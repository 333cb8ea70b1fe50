"""The address of a document that the gateway fetches for itself: an origin to connect to, and a request target.

It is parsed before anything connects: it may come from another document, which nobody has read.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from limen.upstream.target import Target

# The characters of a path and a query (RFC 3986); nothing else may enter a request line.
_PATH = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]*)*")
_QUERY = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*")

_CREDENTIALS = "the address must not hold a user name or a password"
# An issuer may be any text (RFC 7519 section 4.1.1), and nobody needs a long one.
MOST_ISSUER = 512


@dataclass(frozen=True, slots=True)
class Location:
    """A document: ``origin`` is scheme, host and port; ``path`` and ``query`` are the rest, without the question mark."""

    origin: str
    path: str
    query: str = ""

    @classmethod
    def parse(cls, url: str, *, allow_http: bool) -> "Location":
        """Parse ``url``; raises ValueError that says what is wrong with it.

        Only https is accepted, and http if it is allowed. User names, passwords and fragments are refused.
        """
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("the address has characters that no URL has")
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            if "@" in url:  # a part of a password was read as the port
                raise ValueError(_CREDENTIALS) from None
            raise ValueError(f"{url!r}: {error}") from None
        if "@" in parts.netloc or "@" in parts.fragment:
            # First of all, because the messages below repeat the address.
            raise ValueError(_CREDENTIALS)
        if parts.scheme == "http" and not allow_http:
            raise ValueError(
                f"{url!r} is not protected: write https://, or say allow_http=True on a network of your own"
            )
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"{url!r} must begin with https://")
        if "#" in url:
            raise ValueError(f"{url!r} must not have a fragment")
        if not _PATH.fullmatch(parts.path) or not _QUERY.fullmatch(parts.query):
            raise ValueError(f"{url!r} has characters that must be percent-encoded")
        origin = f"{parts.scheme}://{parts.netloc}"
        Target.parse(origin)
        return cls(origin, parts.path, parts.query)

    @property
    def target(self) -> bytes:
        """The target of the request line (RFC 9112 section 3.2.1)."""
        path = self.path or "/"
        return (f"{path}?{self.query}" if self.query else path).encode()

    def at(self, path: str) -> "Location":
        """Return another document of the same origin."""
        return Location(self.origin, path)

    def __str__(self) -> str:
        """Show the address."""
        return f"{self.origin}{self.target.decode()}"


def issuer_location(issuer: str, keys: Location | None, *, allow_http: bool) -> Location | None:
    """Return the address of the issuer; None if its name is no address, which it need not be if ``keys`` are elsewhere.

    Raises ValueError that says what is wrong with the name.
    """
    if keys is None:
        try:
            location = Location.parse(issuer, allow_http=allow_http)
        except ValueError as error:
            raise ValueError(f"{error}; or give jwks_uri=, and the issuer may have any name") from None
        if location.query or "?" in issuer:
            raise ValueError(f"{issuer!r}: an issuer has no query (RFC 8414 section 2); give jwks_uri= for its keys")
        return location
    if not 0 < len(issuer) <= MOST_ISSUER or not issuer.isprintable() or issuer != issuer.strip():
        raise ValueError(f"an issuer is what its tokens have in iss: text of at most {MOST_ISSUER} characters")
    if "@" in urlsplit(issuer.replace("[", "").replace("]", "")).netloc:
        raise ValueError(_CREDENTIALS)
    try:
        return Location.parse(issuer, allow_http=True)  # nothing is fetched from it
    except ValueError:
        return None
