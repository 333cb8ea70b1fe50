"""Checks the address of a database. No message here repeats any part of it: it may hold a password."""

from urllib.parse import urlsplit

# All other addresses are paths of files, in which every character is allowed.
_POSTGRES_SCHEMES = ("postgres://", "postgresql://", "asyncpg://")

_NOT_ENCODED = (
    "it is no address: write user, password and name percent-encoded, so '/' is %2F, '#' %23, '?' %3F, '@' %40, '[' %5B and "
    "'%' %25, as in postgres://user:p%2Fw@host:5432/name (it is not shown here, since it may hold a password)"
)


class DatabaseUrlError(ValueError):
    """The address is invalid, or would be read as a different one."""


def check_database_url(url: str) -> str:
    """Return ``url``; raises DatabaseUrlError if its user, password or name has a character that must be percent-encoded.

    A ``/``, ``#`` or ``?`` ends the authority part of an address. In a password, it would turn the rest of the password and
    the ``@`` into the database's name, and the beginning of the password into a port.
    """
    if not url.startswith(_POSTGRES_SCHEMES):
        return url
    if not _is_unambiguous(url):
        raise DatabaseUrlError(_NOT_ENCODED)
    return url


def _is_unambiguous(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # the port is no number, or there are brackets
        return False
    return port != 0 and "#" not in url and "@" not in parts.path and "@" not in parts.query
