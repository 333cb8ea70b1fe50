"""The corpus of bad tokens, in ``GROUPS``: each entry has its name, its verifier, and what must come of it.

It is the only list: the verifier is given every entry in ``test_jwt_hostile``, a gateway on each engine in
``test_conformance_identity``. To add a bad token is to add one entry to a table. Here stand headers that choose, keys that
are confused and signatures that are forged; the rest is in ``attack_forms``.
"""

import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import cache
from typing import Any

from attack_forms import elsewhere, forms, lines, said, sizes
from attacks import (
    FORGED,
    HEADER,
    Attack,
    Attacks,
    claims,
    ec_key,
    evil_ec,
    evil_okp,
    evil_rsa,
    joined,
    okp_key,
    rsa_key,
    signers,
)
from tokens import CHOOSING, SECRET, b64, sign, sign_with

NONES: tuple[Any, ...] = (
    *("none", "None", "NONE", "nOnE", "none ", " none", "", "null", "n\u043ene", "hs256", "HS256\0"),
    *(None, False, 0),
)


def algorithms() -> Attacks:
    """Yield tokens that say they are signed with nothing (RFC 8725 section 3.1), or do not say with what."""
    for signer in signers().values():
        _, payload, signature = signer.parts
        lasts = {"empty": b"", "honest": signature, "a byte": b64(b"\0")}
        for alg in NONES:
            said: dict[str, dict[str, Any]] = {"": signer.header | {"alg": alg}}
            if signer.name == "ec of a set":
                said[" and no kid"] = {"alg": alg, "typ": "JWT"}
            for form, header in said.items():
                name = f"{signer.name}: alg {alg!r}{form}"
                for last, forged in lasts.items():
                    yield Attack(f"{name}, signature {last}", signer.on, joined(header, payload, forged), HEADER)
                yield Attack(f"{name}, two parts", signer.on, joined(header, payload), HEADER)
            yield Attack(f"{signer.name}: alg {alg!r}, signed", signer.on, signer.token({"alg": alg}), HEADER)
        bare = {name: value for name, value in signer.header.items() if name != "alg"}
        for last, forged in lasts.items():
            yield Attack(f"{signer.name}: no alg, signature {last}", signer.on, joined(bare, payload, forged), HEADER)


# Besides those of ``tokens.CHOOSING``. RFC 8725 sections 3.1, 3.10 and 3.11.
HEADERS: tuple[dict[str, Any], ...] = (
    {"alg": ["HS256", "RS256"]},
    {"alg": {"mallory": 1}},
    {"jku": "https://mallory.example/keys"},
    {"x5u": "https://mallory.example/cert"},
    {"x5c": ["bWFsbG9yeQ=="]},
    {"zip": "DEF"},
    {"enc": "A128GCM"},
    {"cty": "JWT"},
    {"typ": "limen-identity+jwt"},
    {"typ": "secevent+jwt"},
    {"typ": ""},
    {"typ": None},
    {"typ": ["JWT"]},
    {"nonce": "AAAA"},
    {"jwk": True},
)
# Those are no header of ours, but no reason to refuse a token of ours either.
OF_THE_ATTACKER: tuple[dict[str, Any], ...] = (
    {},
    {"x5t": "AAAA"},
    {"jku": "https://mallory.example/keys", "kid": "ec-key"},
    {"enc": "A128GCM", "alg": "dir"},
)


def _shown(header: dict[str, Any]) -> str:
    """Return a header as text, without the numbers of a key that differ from run to run."""
    return json.dumps(
        header | ({"jwk": "mine"} if isinstance(header.get("jwk"), dict) and "x" in header["jwk"] else {})
    )


def headers() -> Attacks:
    """Yield tokens that choose how they are verified: signed well, not at all, and with a key of the attacker's."""
    digests = {"HS384": "sha384"}
    jwk = evil_ec().as_dict(private=False)
    chosen = (*CHOOSING, *HEADERS, {"jwk": jwk})
    for signer in signers().values():
        for header in chosen:
            alg = header.get("alg")
            if alg == signer.header["alg"] or ("alg" in header and alg in NONES):
                continue  # honest, or in ``algorithms``
            made = signer.token(header, digest=digests.get(alg, "sha256") if isinstance(alg, str) else "sha256")
            name = f"{signer.name}: header {_shown(header)}"
            yield Attack(name, signer.on, made, HEADER)
            yield Attack(f"{name}, no signature", signer.on, made.rpartition(b".")[0] + b".", HEADER)
    for header in (*chosen, *OF_THE_ATTACKER, {"jwk": jwk, "kid": "ec-key"}):
        for form, usual in (("no kid", {}), ("your kid", {"kid": "ec-key"})):
            made = sign_with(evil_ec(), {"alg": "ES256", "typ": "JWT"} | usual | header, claims())
            for on in ("keys", "ec"):
                yield Attack(f"{on}: my key, {form}, header {_shown(header)}", on, made, FORGED)
    own = {"alg": "RS256", "jwk": evil_rsa().as_dict(private=False)}
    yield Attack("my RSA key, which the token brings", "keys", sign_with(evil_rsa(), own, claims()), HEADER)


RAW_HEADERS: dict[str, bytes] = {
    "a list": b"[]",
    "a list of one": b'[{"alg":"HS256"}]',
    "a number": b"7",
    "text": b'"HS256"',
    "null": b"null",
    "nothing": b"",
    "a brace": b"{",
    "no UTF-8": b"\xff",
    "nested": b"[" * 700,
    "nested above the bound": b"[" * 3000,
    "given twice": b'{"alg":"HS256","alg":"none"}',
}


def raw_headers() -> Attacks:
    """Yield tokens whose header is no JSON object, under a good signature."""
    for signer in (signers()["secret"], signers()["ec of a set"]):
        for name, raw in RAW_HEADERS.items():
            yield Attack(f"{signer.name}: header is {name}", signer.on, signer.token(raw), HEADER)


KIDS: tuple[Any, ...] = (
    *("../../../../dev/null", "/dev/null", "/etc/passwd", "a.jwk.json", "' OR '1'='1", "' OR 1=1 --"),
    *("ec-key'; DROP TABLE keys; --", "x' UNION SELECT 'k", "| sleep 10", "| id", "ec-key\0", "ec-key\n", "\0"),
    *("", " ", "EC-KEY", "unknown", "é", "a" * 300, "x" * 2000, "\u0435c-key", None, 7, True),  # a Cyrillic letter
    *([], ["ec-key"], {}, {"ec-key": "ec-key"}, {"$ne": "x"}),
)


def kids() -> Attacks:
    """Yield names of keys that are paths, queries and commands, over what an empty file or a known secret would verify."""
    _, payload, signature = signers()["ec of a set"].parts
    secrets = {"no secret": b"", "the secret of another gateway": SECRET}  # to HMAC, NULs are no secret either
    for kid in KIDS:
        name = f"kid {kid!r:.40}"
        yield Attack(
            f"{name}, honest signature", "keys", joined({"alg": "ES256", "kid": kid}, payload, signature), HEADER
        )
        yield Attack(f"{name}, my key", "keys", sign_with(evil_rsa(), {"alg": "RS256", "kid": kid}, claims()), HEADER)
        for what, secret in secrets.items():
            digest = b64(hmac.new(secret, b"x", "sha256").digest())
            yield Attack(
                f"{name}, digest of {what}", "keys", joined({"alg": "ES256", "kid": kid}, payload, digest), HEADER
            )
            made = sign({"alg": "HS256", "kid": kid}, claims(), key=secret)
            yield Attack(f"{name}, HS256 with {what}", "keys", made, HEADER)
            if secret != SECRET:
                yield Attack(f"secret: {name}, {what}", "secret", made, FORGED)


ORDER = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")


def signatures() -> Attacks:
    """Yield honest tokens whose signature is replaced: bytes that a careless check takes, and those of another token."""
    for signer in signers().values():
        header, payload, signature = signer.parts
        raw = urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
        half = len(raw) // 2
        found = {
            "empty": b"",
            "zero": bytes(len(raw)),  # CVE-2022-21449: r = s = 0 is good for any text, to whom it is
            "zero r": bytes(half) + raw[half:],
            "zero s": raw[:half] + bytes(half),
            "the order": ORDER + ORDER,
            "one": (bytes(31) + b"\x01") * 2,
            "one byte": b"\0",
            "too short": raw[:-1],
            "before": b"\0" + raw,
            "DER": bytes.fromhex("3006020101020101"),
            "twice": raw + raw,
            "all ones": b"\xff" * len(raw),
            "reversed": raw[::-1],
            "very long": b"x" * 5000,
            "within the bound": b"x" * 1000,
        }
        # Points of small order: with them some verifiers of Ed25519 take any text.
        small = (b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f")
        found |= {f"small order {number}": point + bytes(32) for number, point in enumerate(small)}
        found |= {"of another token": _raw(signer.token(sub="mallory-1"))}
        for name, forged in found.items():
            yield Attack(f"{signer.name}: signature {name}", signer.on, joined(header, payload, b64(forged)), FORGED)
        for name, cut in (("1", 1), ("4", 4)):
            yield Attack(f"{signer.name}: cut by {name}", signer.on, signer.honest[:-cut], FORGED)
        other = signer.token(sub="mallory-1").split(b".")[1]
        yield Attack(f"{signer.name}: of another payload", signer.on, joined(header, other, signature), FORGED)
        zeros = signer.honest[:-8] + b"AAAAAAAA"
        yield Attack(f"{signer.name}: zeros at the end", signer.on, zeros, FORGED)


def _raw(token: bytes) -> bytes:
    last = token.rpartition(b".")[2]
    return urlsafe_b64decode(last + b"=" * (-len(last) % 4))


def confusion() -> Attacks:
    """Yield tokens signed with what everybody can know: a public key as a secret (CVE-2022-29217 and its like)."""
    for on, key, kid in (
        ("keys", rsa_key(), "rsa-key"),
        ("keys", ec_key(), "ec-key"),
        *((o, k, "") for o, k in _alone()),
    ):
        pem, jwk = key.as_pem(private=False), key.as_dict(private=False)
        member = str(jwk.get("x", jwk.get("n", "")))
        secrets = {
            "PEM": pem,
            "PEM without its last line end": pem.strip(),
            "PEM with other line ends": pem.replace(b"\n", b"\r\n"),
            "JWK": json.dumps(jwk).encode(),
            "JWK Set": json.dumps({"keys": [jwk]}).encode(),
            "member": member.encode(),
            "bytes of a member": urlsafe_b64decode(member + "=" * (-len(member) % 4)),
        }
        for what, secret in secrets.items():
            for bits in ("256", "384", "512"):
                for named in ({"kid": kid}, {}) if kid else ({},):
                    header = {"alg": f"HS{bits}", "typ": "JWT"} | named
                    made = sign(header, claims(), key=secret, digest=f"sha{bits}")
                    yield Attack(f"{on} {kid}: {what} as a secret, HS{bits} {named}", on, made, HEADER)


def _alone() -> tuple[tuple[str, Any], ...]:
    return ("rsa", rsa_key()), ("ec", ec_key()), ("okp", okp_key())


def strangers() -> Attacks:
    """Yield tokens with good signatures by another key: the attacker's, another verifier's, or ours for something else."""
    by_key = {"rsa-key": ("RS256", evil_rsa()), "ec-key": ("ES256", evil_ec())}
    for kid, (alg, key) in by_key.items():
        yield Attack(f"my key as {kid}", "keys", sign_with(key, {"alg": alg, "kid": kid}, claims()), FORGED)
    for on, alg, key in (("rsa", "RS256", evil_rsa()), ("ec", "ES256", evil_ec()), ("okp", "EdDSA", evil_okp())):
        yield Attack(f"{on}: my key", on, sign_with(key, {"alg": alg, "typ": "JWT"}, claims()), FORGED)
    for on in ("secret", "rsa", "ec", "okp"):
        for signer in signers().values():
            if signer.key is not (signers()[on].key):
                yield Attack(f"{on}: honest token of {signer.name}", on, signer.honest, HEADER)
    yield Attack("keys: honest token of okp", "keys", signers()["okp"].honest, HEADER)
    yield Attack("keys: honest token of secret", "keys", signers()["secret"].honest, HEADER)
    named = {"alg": "HS256", "kid": "rsa-key"}
    yield Attack("keys: the secret of another gateway, by name", "keys", sign(named, claims()), HEADER)
    yield Attack("another of your keys by name", "keys", signers()["rsa of a set"].token({"kid": "ec-key"}), HEADER)
    yield Attack("another algorithm of the same key", "keys", signers()["rsa of a set"].token({"alg": "PS256"}), HEADER)
    ec_as_rsa = signers()["ec of a set"].token({"alg": "RS256", "kid": "rsa-key"})
    yield Attack("another kind of key by algorithm", "keys", ec_as_rsa, FORGED)
    for name, key in (("another secret", b"x" * 32), ("no secret", b"")):
        yield Attack(name, "secret", sign({"alg": "HS256"}, claims(), key=key), FORGED)
    for bits in ("384", "512"):
        for digest in (bits, "256"):
            made = sign({"alg": f"HS{bits}"}, claims(), digest=f"sha{digest}")
            yield Attack(f"another digest, HS{bits}, by {digest}", "secret", made, HEADER)
    yield Attack("another digest than it says", "secret", sign({"alg": "HS256"}, claims(), digest="sha512"), FORGED)


_MAKERS: dict[str, Callable[[], Attacks]] = {
    one.__name__: one
    for one in (
        *(algorithms, headers, raw_headers, kids, signatures, confusion, strangers),
        *(forms, sizes, said, lines, elsewhere),
    )
}
GROUPS = tuple(_MAKERS)


@cache
def corpus(group: str) -> tuple[Attack, ...]:
    """Return the attacks of a group; they are made once, since RSA signatures take long."""
    return tuple(_MAKERS[group]())
