"""What a database address must be like. No message here repeats any of it: it may hold a password."""

from urllib.parse import urlsplit

# What is not PostgreSQL's is the path of a file, in which every character is as good as another.
_SERVERS = ("postgres://", "postgresql://", "asyncpg://")

_ENCODE = (
    "it is no address: write user, password and name percent-encoded, so '/' is %2F, '#' %23, '?' %3F, '@' %40, '[' %5B and "
    "'%' %25, as in postgres://user:p%2Fw@host:5432/name (it is not shown here, since it may hold a password)"
)


class AddressError(ValueError):
    """An address that would be read as another one, or as none."""


def check_address(url: str) -> str:
    """Return ``url``; raises AddressError if a character in its password (or user, or name) has to be percent-encoded.

    A ``/``, ``#`` or ``?`` ends the part of an address in which the password is: the rest of the password, with the ``@``
    after it, would then be taken for the database's name, and its beginning for a port.
    """
    if not url.startswith(_SERVERS):
        return url
    if not _is_read_as_meant(url):
        raise AddressError(_ENCODE)
    return url


def _is_read_as_meant(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, or brackets
        return False
    return port != 0 and "#" not in url and "@" not in parts.path and "@" not in parts.query
