"""The attacks, as data. To add one, add an entry to ``ATTACKS``. A new path needs a route in
``bench/gateways/under_attack.py``, and a new kind of hostile answer one in ``bench/attacks/service.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.attacks.moves import Move, asks, comes_and_goes, drips, floods, holds, pipelines, reads, sips
from bench.attacks.requests import (
    KiB,
    MiB,
    chunked,
    client_hello,
    deep,
    get,
    long_header,
    long_query,
    made_up_key,
    made_up_token,
    many,
    many_lines,
    misfits,
    nested,
    post,
    unknown_members,
    valid,
)

ANCHORS = ("nginx", "Envoy")
_ENVOY = ("Envoy",)
_NONE = ()


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. ``does`` makes what one connection of it does, in the attackers' process.

    ``anchors`` are the gateways for which it is an attack: not those that never do the work that it abuses. ``tls`` has the
    gateway serve HTTPS, to others as well.
    """

    name: str
    title: str
    does: Callable[[], Move]
    anchors: tuple[str, ...] = ANCHORS
    tls: bool = False


_FORM, _FORM_1M, _UPLOAD, _GUARDED, _LOCAL = (
    f"/strange/{name}" for name in ("form", "form-1m", "upload", "guarded", "local")
)
_SECRET, _NOWHERE, _ITEMS = get("/strange/mine"), get("/nowhere"), get("/strange/items")
_ONE_BYTE = b"1\r\na\r\n" * 40_000
_LARGE = get("/strange/answers/large")
_SLOW = 1.0  # seconds between two bytes


def _answers(what: str) -> Callable[[], Move]:
    """Ask for an answer that is itself the attack."""
    return lambda: reads(get(f"/strange/answers/{what}", "connection: close"))


ATTACKS = (
    # Looking into a body, which nginx and Envoy do not. Its limit: 256 KiB, 1 MiB where a route says so, and 10 MiB, which a
    # gateway with a lower default refuses by its length.
    Attack("unknown-256k", "256 KiB of unknown members", lambda: asks(post(_FORM, unknown_members(256 * KiB))), _NONE),
    Attack("unknown-1m", "1 MiB of unknown members", lambda: asks(post(_FORM_1M, unknown_members(MiB))), _NONE),
    Attack("unknown-10m", "10 MiB of unknown members", lambda: asks(post(_FORM, unknown_members(10 * MiB))), _NONE),
    Attack("misfits-256k", "256 KiB of items of the wrong type", lambda: asks(post(_FORM, misfits(256 * KiB))), _NONE),
    Attack("misfits-1m", "1 MiB of items of the wrong type", lambda: asks(post(_FORM_1M, misfits(MiB))), _NONE),
    Attack("valid-256k", "256 KiB of valid JSON", lambda: asks(post(_FORM, valid(256 * KiB)))),
    Attack("valid-1m", "1 MiB of valid JSON", lambda: asks(post(_FORM_1M, valid(MiB - 512)))),
    Attack("valid-10m", "10 MiB of valid JSON", lambda: asks(post(_FORM, valid(10 * MiB))), _ENVOY),
    Attack("deep", "16,000 brackets in one another", lambda: asks(post(_FORM, deep(16_000))), _NONE),
    Attack("deep-256k", "130,000 brackets in one another", lambda: asks(post(_FORM, deep(130_000))), _NONE),
    Attack("nested", "16,000 brackets, 100 in one another", lambda: asks(post(_FORM, nested(16_000))), _NONE),
    # Many requests.
    Attack("not-found", "requests for nothing there is", lambda: asks(_NOWHERE), _NONE),
    Attack("pipelined-401", "pipelined, 401, unread", lambda: floods(many(_SECRET)), _ENVOY),
    Attack("pipelined-404", "pipelined, 404, unread", lambda: floods(many(_NOWHERE)), _NONE),
    Attack("pipelined-proxied", "pipelined, proxied, unread", lambda: floods(many(_ITEMS))),
    Attack("pipelined-401-read", "pipelined, 401, read", lambda: pipelines(many(_SECRET)), _ENVOY),
    Attack("pipelined-404-read", "pipelined, 404, read", lambda: pipelines(many(_NOWHERE)), _NONE),
    Attack("pipelined-proxied-read", "pipelined, proxied, read", lambda: pipelines(many(_ITEMS))),
    # Chunks.
    Attack("chunks-streamed", "chunks of one byte, streamed", lambda: floods(_ONE_BYTE, chunked(_UPLOAD))),
    Attack("chunks-refused", "chunks of one byte, refused", lambda: floods(_ONE_BYTE, chunked(_GUARDED)), _ENVOY),
    Attack("chunks-local", "chunks of one byte, local endpoint", lambda: floods(_ONE_BYTE, chunked(_LOCAL)), _NONE),
    Attack(
        "chunk-extensions",
        "chunk extensions of 4 KiB",
        lambda: floods((b"1;" + b"e" * 4096 + b"\r\na\r\n") * 60, chunked(_UPLOAD)),
    ),
    # Slowness.
    Attack("slow-heads", "heads, one byte a second", lambda: drips(_ITEMS[:-2] + b"x: ", b"a", _SLOW)),
    Attack("slow-held", "held bodies, one byte a second", lambda: drips(post(_FORM, b"{", length=9000), b" ", _SLOW)),
    Attack(
        "slow-streamed",
        "streamed bodies, one byte a second",
        lambda: drips(post(_UPLOAD, b"{", length=9000), b" ", _SLOW),
    ),
    Attack(
        "held-256k",
        "bodies of 256 KiB but for one byte, then silence",
        lambda: holds(post(_FORM, bytes(256 * KiB - 1), length=256 * KiB)),
    ),
    Attack(
        "held-10m",
        "bodies of 10 MiB but for one byte, then silence",
        lambda: holds(post(_FORM, bytes(10 * MiB - 1), length=10 * MiB)),
        _ENVOY,
    ),
    Attack("slow-readers", "answers of 8 MiB, read 1 KiB a second", lambda: sips(_LARGE, KiB, _SLOW)),
    Attack("tiny-window", "answers of 8 MiB, unread, a window of 4 KiB", lambda: sips(_LARGE, 1, 3600.0, window=4096)),
    # Heads at their limits.
    Attack("many-lines", "100 header lines, 30 KiB", lambda: asks(many_lines(100))),
    Attack("query", "1,000 parameters in 8 KiB of query", lambda: asks(long_query(1000, "12345"))),
    Attack("query-2000", "2,000 parameters in 8 KiB of query", lambda: asks(long_query(2000, "1"))),
    Attack("query-misfits", "1,000 parameters of the wrong type", lambda: asks(long_query(1000, "wrong")), _NONE),
    Attack("cookie", "30 KiB of cookies", lambda: asks(long_header("cookie", "a=b", "; "))),
    Attack("via", "30 KiB of Via", lambda: asks(long_header("via", "1.1 a", ", "))),
    Attack("forwarded", "30 KiB of Forwarded", lambda: asks(long_header("forwarded", "for=192.0.2.1", ", "))),
    # Credentials.
    Attack("tokens", "made-up tokens of nearly 8 KiB", lambda: asks(made_up_token), _ENVOY),
    Attack("api-keys", "made-up API keys", lambda: asks(made_up_key), _NONE),
    # Connections.
    Attack("churn", "connect and close", comes_and_goes),
    Attack("churn-asked", "connect, ask, close unread", lambda: comes_and_goes(_ITEMS)),
    Attack("tls-silent", "TLS: silence after the first flight", lambda: holds(client_hello()), tls=True),
    Attack("tls-churn", "TLS: handshakes given up", lambda: comes_and_goes(client_hello(), reads=True), tls=True),
    # A service that is the attacker.
    Attack("service-bytes", "a service that answers byte by byte", _answers("bytes")),
    Attack("service-chunks", "a service with chunks of one byte", _answers("chunks")),
    Attack("service-head", "a service with a head without end", _answers("head")),
    Attack("service-interim", "a service with 1xx without end", _answers("interim")),
    Attack("service-misfits", "a service with 100,000 misfits in 1 MiB", lambda: asks(get("/strange/misfits")), _NONE),
)


def named(name: str) -> Attack:
    """Return the attack of that name."""
    return next(one for one in ATTACKS if one.name == name)
