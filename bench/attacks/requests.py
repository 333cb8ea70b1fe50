"""The attackers' requests and bodies, as bytes. Nothing here opens a connection."""

import base64
import json
import ssl
from contextlib import suppress
from random import Random

KiB = 1024
MiB = 1024 * KiB
_MAX_HEAD = 32 * KiB  # limen's limit on a head (docs/limits.md)
_MAX_VALUES = 65_000  # almost limen's limit on the values in a body


def get(path: str, *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "host: bench", *lines, "", "")).encode()


def post(path: str, body: bytes, *, length: int | None = None) -> bytes:
    """Return a request with a JSON body; ``length`` overrides its Content-Length."""
    size = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    return head.encode() + body


def chunked(path: str) -> bytes:
    """Return the head of a request whose body comes in chunks."""
    return f"POST {path} HTTP/1.1\r\nhost: bench\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def fill(request: bytes) -> bytes:
    """Return as many copies as fit into 256 KiB."""
    return request * (256 * KiB // len(request))


def unknown_members(size: int) -> bytes:
    """Return an object of about ``size`` bytes with as many members as allowed, none of them declared."""
    width = max(11, _width(size))  # of one member
    members = (b'"%0*x":0' % (width - 5, number) for number in range((size - 16) // width))
    return b'{"name":"x",' + b",".join(members) + b"}"


def wrong_types(size: int) -> bytes:
    """Return a list of about ``size`` bytes with as many items as allowed, all of the wrong type."""
    return _list(size, b"1" * (_width(size) - 1))


def valid(size: int) -> bytes:
    """Return valid JSON of about ``size`` bytes, with as many strings as allowed."""
    return _list(size, b'"' + b"a" * (_width(size) - 3) + b'"')


def nested_once(count: int) -> bytes:
    """Return ``count`` nested brackets."""
    return b'{"name":"x","more":' + b"[" * count + b"]" * count + b"}"


def nested_in_groups(count: int) -> bytes:
    """Return ``count`` brackets in groups of 100 nested ones, a depth that parsers accept."""
    group = b"[" * 100 + b"]" * 100
    return b'{"name":"x","more":[' + b",".join([group] * (count // 100)) + b"]}"


def _width(size: int) -> int:
    """Return the bytes per value with which the allowed number of values fills ``size``."""
    return -(-size // _MAX_VALUES)


def _list(size: int, item: bytes) -> bytes:
    count = (size - 32) // (len(item) + 1)
    return b'{"name":"x","tags":[' + b",".join([item] * count) + b"]}"


def many_fields(count: int) -> bytes:
    """Return a request with ``count`` header lines and the longest allowed head."""
    room = (_MAX_HEAD - 2 * KiB) // count - 16
    return get("/hostile/items", *(f"x-{number:03}: {'a' * room}" for number in range(count - 1)))


def long_query(count: int, value: str) -> bytes:
    """Return a query with ``count`` parameters of one name, declared as integers."""
    return get("/hostile/search?" + "&".join([f"q={value}"] * count))


def long_header(name: str, item: str, separator: str) -> bytes:
    """Return one header field with as many items as the head can hold."""
    count = (_MAX_HEAD - 2 * KiB) // len(item + separator)
    path = "/hostile/search?q=1" if name == "cookie" else "/hostile/items"
    return get(path, f"{name}: {separator.join([item] * count)}")


def forged_token(rng: Random) -> bytes:
    """Return a request with a well-formed token near the size limit and an invalid signature; different each time."""
    header = _base64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = _base64url(
        json.dumps({"id": 1, "exp": 2**33, "user_type": "admin", "x": rng.randbytes(2900).hex()}).encode()
    )
    return get("/hostile/mine", f"authorization: Bearer {header}.{claims}.{_base64url(rng.randbytes(32))}")


def forged_key(rng: Random) -> bytes:
    """Return a request with an API key that does not exist."""
    return get("/hostile/keyed", f"x-api-key: {rng.randbytes(24).hex()}")


def client_hello() -> bytes:
    """Return the first flight of a TLS handshake."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):  # the ClientHello is written; it waits for the server
        handshake.do_handshake()
    return out.read()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
