"""What the attackers send: requests and bodies as bytes. Nothing here opens a connection."""

import base64
import json
import ssl
from contextlib import suppress
from random import Random

KiB = 1024
MiB = 1024 * KiB
_HEAD = 32 * KiB  # what a head may have (docs/limits.md)
_VALUES = 65_000  # values that a body may hold, nearly


def get(path: str, *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "host: bench", *lines, "", "")).encode()


def post(path: str, body: bytes, *, length: int | None = None) -> bytes:
    """Return a request with a JSON body; ``length`` is said instead of that of ``body``."""
    size = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    return head.encode() + body


def chunked(path: str) -> bytes:
    """Return the head of a request whose body comes in chunks."""
    return f"POST {path} HTTP/1.1\r\nhost: bench\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def many(request: bytes) -> bytes:
    """Return as many as fit into 256 KiB."""
    return request * (256 * KiB // len(request))


def unknown_members(size: int) -> bytes:
    """Return an object of about ``size`` bytes with as many members as it can have, none of them known."""
    width = max(11, _width(size))  # of one member
    members = (b'"%0*x":0' % (width - 5, number) for number in range((size - 16) // width))
    return b'{"name":"x",' + b",".join(members) + b"}"


def misfits(size: int) -> bytes:
    """Return a list of about ``size`` bytes with as many items as it can have, none of the right type."""
    return _list(size, b"1" * (_width(size) - 1))


def valid(size: int) -> bytes:
    """Return JSON of about ``size`` bytes that is all as it ought to be, in as many strings as it can have."""
    return _list(size, b'"' + b"a" * (_width(size) - 3) + b'"')


def deep(count: int) -> bytes:
    """Return ``count`` brackets in one another."""
    return b'{"name":"x","more":' + b"[" * count + b"]" * count + b"}"


def nested(count: int) -> bytes:
    """Return ``count`` brackets, 100 in one another, which a parser still takes."""
    one = b"[" * 100 + b"]" * 100
    return b'{"name":"x","more":[' + b",".join([one] * (count // 100)) + b"]}"


def _width(size: int) -> int:
    """Return the bytes of one value, so that as many as a body may hold fill ``size``."""
    return -(-size // _VALUES)


def _list(size: int, item: bytes) -> bytes:
    count = (size - 32) // (len(item) + 1)
    return b'{"name":"x","tags":[' + b",".join([item] * count) + b"]}"


def many_lines(count: int) -> bytes:
    """Return a request with ``count`` header lines as long as a head may be."""
    room = (_HEAD - 2 * KiB) // count - 16
    return get("/strange/items", *(f"x-{number:03}: {'a' * room}" for number in range(count - 1)))


def long_query(count: int, value: str) -> bytes:
    """Return ``count`` parameters of one name, numbers by right."""
    return get("/strange/search?" + "&".join([f"q={value}"] * count))


def long_header(name: str, item: str, between: str) -> bytes:
    """Return one header field with as many items as a head may hold."""
    times = (_HEAD - 2 * KiB) // len(item + between)
    path = "/strange/search?q=1" if name == "cookie" else "/strange/items"
    return get(path, f"{name}: {between.join([item] * times)}")


def made_up_token(rng: Random) -> bytes:
    """Return a request whose token is near the limit, well formed, and signed by nobody; each one differs."""
    header = _encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = _encoded(
        json.dumps({"id": 1, "exp": 2**33, "user_type": "admin", "x": rng.randbytes(2900).hex()}).encode()
    )
    return get("/strange/mine", f"authorization: Bearer {header}.{claims}.{_encoded(rng.randbytes(32))}")


def made_up_key(rng: Random) -> bytes:
    """Return a request with an API key that nobody made."""
    return get("/strange/keyed", f"x-api-key: {rng.randbytes(24).hex()}")


def client_hello() -> bytes:
    """Return the first flight of a TLS handshake."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    shaking = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):  # it has said the first word
        shaking.do_handshake()
    return out.read()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
