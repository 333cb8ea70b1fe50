"""The attacks, as data. To add one, add an entry to ``ATTACKS``. A new path needs a route in
``bench/gateways/limen_attacks.py``, and a new kind of hostile answer one in ``bench/attacks/service.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.attacks.behaviours import (
    Behaviour,
    connect_and_close,
    drip,
    pipeline,
    read_slowly,
    read_until_closed,
    repeat_request,
    send_and_wait,
    send_endlessly,
)
from bench.attacks.requests import (
    KiB,
    MiB,
    chunked,
    client_hello,
    fill,
    forged_key,
    forged_token,
    get,
    long_header,
    long_query,
    many_fields,
    nested_in_groups,
    nested_once,
    post,
    unknown_members,
    valid,
    wrong_types,
)

ANCHORS = ("nginx", "Envoy")
_ENVOY = ("Envoy",)
_NONE = ()


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. ``behaviour`` makes the behaviour of its connections, in the attackers' process.

    ``anchors`` are the other gateways that do the work which the attack abuses. With ``tls``, the gateway serves HTTPS, to
    the probe too.
    """

    name: str
    title: str
    behaviour: Callable[[], Behaviour]
    anchors: tuple[str, ...] = ANCHORS
    tls: bool = False


_FORM, _FORM_1M, _UPLOAD, _GUARDED, _LOCAL = (
    f"/hostile/{name}" for name in ("form", "form-1m", "upload", "guarded", "local")
)
_UNAUTHORIZED, _NOT_FOUND, _ITEMS = get("/hostile/mine"), get("/nowhere"), get("/hostile/items")
_ONE_BYTE = b"1\r\na\r\n" * 40_000
_LARGE = get("/hostile/answers/large")
_SLOW_PAUSE = 1.0  # seconds between two bytes


def _answers(what: str) -> Callable[[], Behaviour]:
    """Request a response that is itself the attack."""
    return lambda: read_until_closed(get(f"/hostile/answers/{what}", "connection: close"))


ATTACKS = (
    # Parsing a body, which nginx and Envoy do not do. Sizes: the default limit of 256 KiB, a route's own limit of 1 MiB, and
    # 10 MiB, which a gateway with a lower limit refuses by Content-Length.
    Attack(
        "unknown-256k",
        "256 KiB of unknown members",
        lambda: repeat_request(post(_FORM, unknown_members(256 * KiB))),
        _NONE,
    ),
    Attack(
        "unknown-1m", "1 MiB of unknown members", lambda: repeat_request(post(_FORM_1M, unknown_members(MiB))), _NONE
    ),
    Attack(
        "unknown-10m",
        "10 MiB of unknown members",
        lambda: repeat_request(post(_FORM, unknown_members(10 * MiB))),
        _NONE,
    ),
    Attack(
        "misfits-256k",
        "256 KiB of items of the wrong type",
        lambda: repeat_request(post(_FORM, wrong_types(256 * KiB))),
        _NONE,
    ),
    Attack(
        "misfits-1m",
        "1 MiB of items of the wrong type",
        lambda: repeat_request(post(_FORM_1M, wrong_types(MiB))),
        _NONE,
    ),
    Attack("valid-256k", "256 KiB of valid JSON", lambda: repeat_request(post(_FORM, valid(256 * KiB)))),
    Attack("valid-1m", "1 MiB of valid JSON", lambda: repeat_request(post(_FORM_1M, valid(MiB - 512)))),
    Attack("valid-10m", "10 MiB of valid JSON", lambda: repeat_request(post(_FORM, valid(10 * MiB))), _ENVOY),
    Attack("deep", "16,000 brackets in one another", lambda: repeat_request(post(_FORM, nested_once(16_000))), _NONE),
    Attack(
        "deep-256k", "130,000 brackets in one another", lambda: repeat_request(post(_FORM, nested_once(130_000))), _NONE
    ),
    Attack(
        "nested",
        "16,000 brackets, 100 in one another",
        lambda: repeat_request(post(_FORM, nested_in_groups(16_000))),
        _NONE,
    ),
    # Many requests.
    Attack("not-found", "requests for nothing there is", lambda: repeat_request(_NOT_FOUND), _NONE),
    Attack("pipelined-401", "pipelined, 401, unread", lambda: send_endlessly(fill(_UNAUTHORIZED)), _ENVOY),
    Attack("pipelined-404", "pipelined, 404, unread", lambda: send_endlessly(fill(_NOT_FOUND)), _NONE),
    Attack("pipelined-proxied", "pipelined, proxied, unread", lambda: send_endlessly(fill(_ITEMS))),
    Attack("pipelined-401-read", "pipelined, 401, read", lambda: pipeline(fill(_UNAUTHORIZED)), _ENVOY),
    Attack("pipelined-404-read", "pipelined, 404, read", lambda: pipeline(fill(_NOT_FOUND)), _NONE),
    Attack("pipelined-proxied-read", "pipelined, proxied, read", lambda: pipeline(fill(_ITEMS))),
    # Chunks.
    Attack("chunks-streamed", "chunks of one byte, streamed", lambda: send_endlessly(_ONE_BYTE, chunked(_UPLOAD))),
    Attack(
        "chunks-refused", "chunks of one byte, refused", lambda: send_endlessly(_ONE_BYTE, chunked(_GUARDED)), _ENVOY
    ),
    Attack(
        "chunks-local", "chunks of one byte, local endpoint", lambda: send_endlessly(_ONE_BYTE, chunked(_LOCAL)), _NONE
    ),
    Attack(
        "chunk-extensions",
        "chunk extensions of 4 KiB",
        lambda: send_endlessly((b"1;" + b"e" * 4096 + b"\r\na\r\n") * 60, chunked(_UPLOAD)),
    ),
    # Slowness.
    Attack("slow-heads", "heads, one byte a second", lambda: drip(_ITEMS[:-2] + b"x: ", b"a", _SLOW_PAUSE)),
    Attack(
        "slow-held", "held bodies, one byte a second", lambda: drip(post(_FORM, b"{", length=9000), b" ", _SLOW_PAUSE)
    ),
    Attack(
        "slow-streamed",
        "streamed bodies, one byte a second",
        lambda: drip(post(_UPLOAD, b"{", length=9000), b" ", _SLOW_PAUSE),
    ),
    Attack(
        "held-256k",
        "bodies of 256 KiB but for one byte, then silence",
        lambda: send_and_wait(post(_FORM, bytes(256 * KiB - 1), length=256 * KiB)),
    ),
    Attack(
        "held-10m",
        "bodies of 10 MiB but for one byte, then silence",
        lambda: send_and_wait(post(_FORM, bytes(10 * MiB - 1), length=10 * MiB)),
        _ENVOY,
    ),
    Attack("slow-readers", "answers of 8 MiB, read 1 KiB a second", lambda: read_slowly(_LARGE, KiB, _SLOW_PAUSE)),
    Attack(
        "tiny-window",
        "answers of 8 MiB, unread, a window of 4 KiB",
        lambda: read_slowly(_LARGE, 1, 3600.0, window=4096),
    ),
    # Heads at their limits.
    Attack("many-lines", "100 header lines, 30 KiB", lambda: repeat_request(many_fields(100))),
    Attack("query", "1,000 parameters in 8 KiB of query", lambda: repeat_request(long_query(1000, "12345"))),
    Attack("query-2000", "2,000 parameters in 8 KiB of query", lambda: repeat_request(long_query(2000, "1"))),
    Attack(
        "query-misfits", "1,000 parameters of the wrong type", lambda: repeat_request(long_query(1000, "wrong")), _NONE
    ),
    Attack("cookie", "30 KiB of cookies", lambda: repeat_request(long_header("cookie", "a=b", "; "))),
    Attack("via", "30 KiB of Via", lambda: repeat_request(long_header("via", "1.1 a", ", "))),
    Attack("forwarded", "30 KiB of Forwarded", lambda: repeat_request(long_header("forwarded", "for=192.0.2.1", ", "))),
    # Credentials.
    Attack("tokens", "made-up tokens of nearly 8 KiB", lambda: repeat_request(forged_token), _ENVOY),
    Attack("api-keys", "made-up API keys", lambda: repeat_request(forged_key), _NONE),
    # Connections.
    Attack("churn", "connect and close", connect_and_close),
    Attack("churn-asked", "connect, ask, close unread", lambda: connect_and_close(_ITEMS)),
    Attack("tls-silent", "TLS: silence after the first flight", lambda: send_and_wait(client_hello()), tls=True),
    Attack(
        "tls-churn",
        "TLS: handshakes given up",
        lambda: connect_and_close(client_hello(), wait_for_response=True),
        tls=True,
    ),
    # A service that is the attacker.
    Attack("service-bytes", "a service that answers byte by byte", _answers("bytes")),
    Attack("service-chunks", "a service with chunks of one byte", _answers("chunks")),
    Attack("service-head", "a service with a head without end", _answers("head")),
    Attack("service-interim", "a service with 1xx without end", _answers("interim")),
    Attack(
        "service-misfits",
        "a service with 100,000 misfits in 1 MiB",
        lambda: repeat_request(get("/hostile/misfits")),
        _NONE,
    ),
)


def attack_named(name: str) -> Attack:
    """Return the attack with this name."""
    return next(attack for attack in ATTACKS if attack.name == name)
