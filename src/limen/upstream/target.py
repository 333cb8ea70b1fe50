"""One address of an upstream, parsed: ``http://host:port``, ``https://host`` or ``unix:/path/to.sock``."""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

# Labels as the resolver accepts them (63 characters, none empty but the root's), or an IPv6 address.
_LABEL = r"[A-Za-z0-9_\-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class Target:
    """An address to connect to, and the authority that requests to it name.

    ``path`` is set for Unix sockets only; then ``host`` is ``localhost`` and ``port`` 0. ``addresses`` are IP addresses of
    ``host``, the preferred one first; without any, the host is looked up for each connection. Two spellings of one address
    are equal; two addresses of one name are two targets.
    """

    url: str = field(compare=False)
    host: str
    port: int
    tls: bool
    path: str
    authority: bytes
    addresses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Parse ``url``; raises ValueError that says what is wrong with it and what it should look like."""
        if url.startswith("unix:"):
            path = url.removeprefix("unix:")
            if not path.startswith("/"):
                raise ValueError(f"target {url!r}: a Unix socket is written unix:/absolute/path.sock")
            return cls(url, "localhost", 0, tls=False, path=path, authority=b"localhost")
        if "@" in url:
            # Checked first, because the messages below repeat the address.
            raise ValueError("a target must not hold a user name or a password, nor any '@'")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"target {url!r}: {error}; write http://host:port") from None
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"target {url!r} must begin with http://, https:// or unix:/")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError(f"target {url!r} must be scheme, host and port only; use rewrite= for another path")
        host = parts.hostname or ""
        if not _HOST.fullmatch(host) or port == 0:
            raise ValueError(f"target {url!r} has no valid host and port; write http://host:port")
        tls = parts.scheme == "https"
        standard = 443 if tls else 80
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port in (None, standard) else f"{shown}:{port}"
        return cls(url, host, port or standard, tls, "", authority.encode())

    @property
    def key(self) -> str:
        """What state of this target is kept by, and what hashes are made of: where it is, however that is spelled.

        Of several addresses the first one counts: a target is the same if only its fallback is another.
        """
        if self.path:
            return f"unix:{self.path}"
        return f"http{'s' if self.tls else ''}://{self.authority.decode()}{self._place()}"

    def at(self, addresses: tuple[str, ...]) -> "Target":
        """Return this target at ``addresses``, which are tried in this order. Authority and TLS stay those of the name."""
        return replace(self, addresses=addresses)

    def _place(self) -> str:
        return f" [{self.addresses[0]}]" if self.addresses else ""

    def __str__(self) -> str:
        """Show the address as it was given, and where it leads if that is known."""
        return f"{self.url}{self._place()}"
