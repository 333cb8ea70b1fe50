"""``service_url``: one ``Upstream`` for each address, and the path in front of those of the routes."""

import re
from functools import cache
from urllib.parse import urlsplit, urlunsplit

from limen.compat.mistakes import Mistake
from limen.routing.path import check_path
from limen.upstream.declared import Timeouts, Upstream

TIMEOUT = 59.0
"""Seconds for a whole call of a service that is given as an address: the original's ``GATEWAY_TIMEOUT``."""

_CONVERTER = re.compile(r"\{([^{}:]*):[^{}]*\}")


def service(url: object) -> tuple[Upstream, str]:
    """Return the upstream at ``url``, and the path that the address has, without a slash at its end.

    The same address gives the same upstream. An ``Upstream`` is taken as it is. Raises Mistake for what is no address.
    """
    if isinstance(url, Upstream):
        return url, ""
    if not isinstance(url, str) or not url:
        raise Mistake(
            f"service_url={url!r} is no address, such as 'http://users:8000'; is the setting missing from the environment?"
        )
    try:
        return _service(url)
    except ValueError as error:
        raise Mistake(f"service_url: {error}") from None


def rewrite(prefix: str, path: str) -> str:
    """Return the path at a service whose address has the path ``prefix``, for the public ``path``."""
    return prefix + _CONVERTER.sub(r"{\1}", path)


@cache
def _service(url: str) -> tuple[Upstream, str]:
    base, prefix = url, ""
    if not url.startswith("unix:") and "@" not in url:  # Upstream refuses user names, and repeats none
        parts = urlsplit(url)
        if parts.netloc:  # else it is no address, and Upstream says so
            prefix = parts.path.rstrip("/")
            base = urlunsplit((parts.scheme, parts.netloc, "", parts.query, parts.fragment))
        if prefix and (fault := check_path(prefix.encode("utf-8", "replace"))) is not None:
            raise ValueError(f"the path of {url!r}: {fault.text}")
    return Upstream(_name(base), [base], timeouts=Timeouts(first_byte=TIMEOUT, idle=TIMEOUT, total=TIMEOUT)), prefix


def _name(base: str) -> str:
    """Return a name by which people know the service: of ``http://users:8000`` it is ``users-8000``."""
    if base.startswith("unix:"):
        return re.sub(r"[^A-Za-z0-9]+", "-", base.removeprefix("unix:")).strip("-") or "unix"
    parts = urlsplit(base)
    host = re.sub(r"[^A-Za-z0-9-]", "_", parts.hostname or "service")
    port = "" if parts.port is None else f"-{parts.port}"
    return f"{host}{port}{'-tls' if parts.scheme == 'https' else ''}"
