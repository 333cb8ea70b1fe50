"""``limen token explain``: why a gateway takes a token or refuses it, by each of its methods.

The token comes from standard input or a file, never as an argument: those are seen by others, and stay in the history of the
shell. What is printed holds neither its signature nor a key, and of its claims the values of a few that name no person.
"""

import asyncio
import sys
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import time

import click

from limen.app.gateway import Gateway
from limen.auth.identify import IdentifyResult
from limen.auth.issuer.declared import MOST_TOKEN, Issuer
from limen.auth.issuer.live import IssuerVerifier
from limen.auth.jose.claims import is_time
from limen.auth.jose.compact import decode_unverified
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.auth.method import Method, Methods
from limen.cli.load import load_gateway
from limen.errors import Fault
from limen.observe.escape import quoted

# Values that are shown: they say who made a token, for whom, and for how long, and nothing of the person.
_SHOWN_HEADER = ("alg", "kid", "typ")
_SHOWN_CLAIMS = ("iss", "aud", "client_id", "azp", "tid")
_TIMES = ("iat", "nbf", "exp")
_MOST_SHOWN = 200
_MOST_NAMES = 50


def explain(spec: str, file: Path | None) -> None:
    """Print what each method of the gateway at ``spec`` makes of the token in ``file``, or on standard input.

    Keys of outside issuers are fetched. Status 1: no method takes it.
    """
    token = _read(file)
    app = load_gateway(spec)
    now = time()
    for line in _contents(token, now):
        click.echo(line)
    taken = asyncio.run(_judge(methods_of(app), token, now))
    if not taken:
        sys.exit(1)


def methods_of(app: Gateway) -> Methods:
    """Return every method by which somebody may authenticate at ``app``: its own, and those of its routes."""
    entries = [*app.declared(), *app.local_endpoints()]
    several = [app.auth, *(entry.auth for entry in entries if entry.auth is not None)]
    return Methods(one for methods in several for one in methods)


def _read(file: Path | None) -> bytes:
    try:
        stream = sys.stdin.buffer if file is None else file.open("rb")
        with stream:
            text = stream.read(MOST_TOKEN + 1024).strip()
    except OSError as error:
        raise click.ClickException(f"{file}: the token cannot be read: {error.strerror}") from None
    scheme, _, rest = text.partition(b" ")
    token = rest.strip() if scheme.lower() == b"bearer" else text
    if not token:
        raise click.ClickException(
            "there is no token: give it on standard input, as in limen token explain APP < token.txt"
        )
    return token


def _contents(token: bytes, now: float) -> list[str]:
    """Return what the token says of itself, which nobody has verified."""
    decoded = decode_unverified(token)
    if decoded is None:
        return [f"{len(token)} bytes, which are no JWT"]
    header, claims = decoded
    return [
        f"{len(token)} bytes; what it says of itself:",
        f"  header  {_described(header, _SHOWN_HEADER, now)}",
        f"  claims  {_described(claims, (*_SHOWN_CLAIMS, *_TIMES), now)}",
    ]


def _described(members: Mapping[str, object], shown: tuple[str, ...], now: float) -> str:
    parts = [f"{name} {_value(name, members[name], now)}" for name in shown if name in members]
    others = [quoted(name, _MOST_SHOWN) for name in members if name not in shown]
    if others:
        more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
        parts.append(f"and {', '.join(others[:_MOST_NAMES])}{more}")
    return ", ".join(parts) or "nothing"


def _value(name: str, value: object, now: float) -> str:
    if name in _TIMES and is_time(value) and isinstance(value, int | float):
        moment = datetime.fromtimestamp(min(value, 253402300799), UTC)
        distance = abs(value - now)
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({distance:.0f} s {'ago' if value <= now else 'from now'})"
    return quoted(value if isinstance(value, str) else repr(value)[: _MOST_SHOWN + 1], _MOST_SHOWN)


async def _judge(methods: Methods, token: bytes, now: float) -> bool:
    """Print a line for each method; return whether one of them takes the token."""
    taken = False
    for method in methods:
        result = await _asked(method, token, now)
        if result is None:
            click.echo(f"{_label(method)}: not asked, for it reads no JWT by rules that are declared")
        elif isinstance(result, Fault):
            click.echo(f"{_label(method)}: refused, {result.kind.code}: {result.cause or result.text}")
        else:
            taken = True
            roles, scopes = (", ".join(sorted(words)) or "none" for words in (result.roles, result.scopes))
            click.echo(f"{_label(method)}: taken, as caller {result.id!r}; roles: {roles}; scopes: {scopes}")
            click.echo("  unless it was revoked, which only the gateway that runs knows")
    if not len(methods):
        click.echo("no method is declared (auth=), so nobody can authenticate")
    return taken


async def _asked(method: Method, token: bytes, now: float) -> IdentifyResult | None:
    """Return what ``method`` makes of the token; None for one that only a running gateway can ask."""
    if isinstance(method, Jwt):
        return Verifier(method).verify(token, now)
    if not isinstance(method, Issuer):
        return None
    try:
        verifier = IssuerVerifier(method)
    except ValueError as error:  # a file of its tls= cannot be used
        raise click.ClickException(str(error)) from None
    try:
        result = verifier.verify(token, now)
        return await result if isinstance(result, Awaitable) else result
    finally:
        await verifier.aclose()


def _label(method: Method) -> str:
    if isinstance(method, Issuer):
        return f"Issuer {method.name} ({method.url})"
    if isinstance(method, Jwt):
        named = [
            f"{name}={value!r}" for name, value in (("issuer", method.issuer), ("audience", method.audience)) if value
        ]
        return f"Jwt({', '.join(named)})"
    return type(method).__name__
