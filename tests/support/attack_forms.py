"""Bad tokens, second half of the corpus: what is no token, what is too much, claims that are wrong, and lines that are no
credential. Their signatures are good wherever there is one; headers and signatures are attacked in ``attack_lists``.
"""

import json
from typing import Any

from attacks import (
    AUDIENCE,
    CLAIMS,
    FORGED,
    HEADER,
    ISSUER,
    LONG_OVER,
    MALFORMED,
    NEVER_ENDS,
    OVERSIZED,
    VERIFIERS,
    Attack,
    Attacks,
    claims,
    joined,
    secret_token,
    signers,
)
from limen.auth.jose.compact import MOST_BYTES, MOST_HEADER, MOST_SIGNATURE
from limen.errors import Kind
from tokens import b64

ODD_BYTES = (
    *(b"=", b"==", b".", b" ", b"\n", b"\0", b"A", b"AA", b"AAAA", b"\xff", "é".encode()),
    *(b"%00", b",", b"~", b"+", b"/", b"x", b".x"),
)


# What has no part of an honest token in it.
WORDS = {"nothing": b"", "three words": b"a.b.c", "only dots": b"..", "thousands of dots": b"." * 8000}


def forms() -> Attacks:
    """Yield what is not exactly three parts of base64url, spelled in the one way there is."""
    for on in VERIFIERS:
        for name, token in WORDS.items():
            yield Attack(f"{on}: {name}", on, token, MALFORMED)
    for signer in signers().values():
        good = signer.honest
        header, payload, signature = signer.parts
        middle = len(payload) // 2
        found = {
            "one part": header,
            "two parts": header + b"." + payload,
            "two others": payload + b"." + signature,
            "no payload": header + b".." + signature,
            "no header": b"." + payload + b"." + signature,
            "four parts": good + b"." + signature,
            "five parts, as an encrypted token": b".".join((header, signature, signature, payload, signature)),
            "twice": good + b"." + good,
            "two exchanged": joined(payload, header, signature),
            "a line end amid the payload": header
            + b"."
            + payload[:middle]
            + b"\n"
            + payload[middle:]
            + b"."
            + signature,
            "UTF-16": good.decode().encode("utf-16"),
            "letters in the other case": good.swapcase(),
            "standard base64": header + b"." + payload + b"." + b"+/" * 21 + b"+",
        }
        for odd in ODD_BYTES:
            found[f"{odd!r} behind"] = good + odd
            if odd != b" ":  # else it is one more behind the scheme, where several may stand (RFC 9110 section 11.4)
                found[f"{odd!r} before"] = odd + good
            found[f"{odd!r} behind the header"] = header + odd + b"." + payload + b"." + signature
            found[f"{odd!r} behind the payload"] = header + b"." + payload + odd + b"." + signature
            if odd != b".":  # else it is behind the part before
                found[f"{odd!r} before the payload"] = header + b"." + odd + payload + b"." + signature
                found[f"{odd!r} before the signature"] = header + b"." + payload + b"." + odd + signature
        for name, token in found.items():
            yield Attack(f"{signer.name}: {name}", signer.on, token, FORGED)


def sizes() -> Attacks:
    """Yield what is large: most of it is refused before a byte is decoded."""
    nested = claims()
    found = {
        "huge": (b"A" * 8_000_000, OVERSIZED),
        "huge parts": (b".".join([b"A" * 3_000_000] * 3), OVERSIZED),
        "millions of dots": (b"." * 3_000_000, OVERSIZED),
        "dots within the bound": (b"." * MOST_BYTES, OVERSIZED),
        "a signed token above the bound": (secret_token(mallory="y" * MOST_BYTES), OVERSIZED),
        "a signed token far above the bound": (secret_token(mallory="y" * 12_000), OVERSIZED),
        "a long header": (joined({"alg": "HS256", "kid": "x" * MOST_HEADER}, nested, b"AAAA"), OVERSIZED),
        "a long signed header": (secret_token({"kid": "y" * 8_000}), OVERSIZED),
        "a long signature": (joined({"alg": "HS256"}, nested, b"A" * (MOST_SIGNATURE + 1)), OVERSIZED),
        "a deep header": (joined(b64(b'{"alg":' + b"[" * 700), nested, b"AAAA"), MALFORMED),
        "a deep signed header": (
            signers()["secret"].token(b'{"alg":"HS256","x":' + b"[" * 350 + b"]" * 350 + b"}"),
            MALFORMED,
        ),
        "a deep signed header above the bound": (
            signers()["secret"].token(b'{"alg":"HS256","x":' + b"[" * 500 + b"]" * 500 + b"}"),
            OVERSIZED,
        ),
        "a wide header": (joined(b64(b'{"alg":[' + b"{}," * 240 + b"{}]}"), nested, b"AAAA"), HEADER),
        "a header of digits": (joined(b64(b'{"alg":' + b"9" * 700 + b"}"), nested, b"AAAA"), HEADER),
    }
    for name, (token, most) in found.items():
        yield Attack(name, "secret", token, most)


GOOD_CLAIMS = json.dumps(claims(), separators=(",", ":")).encode()


def _with(extra: bytes) -> bytes:
    """Return the JSON of good claims with ``extra`` members behind."""
    return GOOD_CLAIMS[:-1] + b"," + extra + b"}"


def _but(name: str, value: bytes) -> bytes:
    """Return the JSON of good claims in which ``name`` has another value, as it is written."""
    return GOOD_CLAIMS.replace(
        json.dumps({name: claims()[name]}, separators=(",", ":")).encode()[1:-1], b'"%s":%s' % (name.encode(), value)
    )


# Signed all right, and so nested that no parser may see it (RFC 8259 section 9 leaves the bound to us).
NESTED: dict[str, bytes] = {
    "arrays, one too deep": _with(b'"x":' + b"[" * 16 + b"]" * 16),
    "arrays": _with(b'"x":' + b"[" * 17 + b"]" * 17),
    "objects": _with(b'"x":' + b'{"a":' * 17 + b"1" + b"}" * 17),
    "open arrays": _with(b'"x":' + b"[" * 5000)[:-1],
    "open objects": b"{" * 5000,
    "open arrays alone": b"[" * 5000,
    "thousands of arrays": _with(b'"mallory":' + b"[" * 2800 + b"]" * 2800),
    "a thousand objects": _with(b'"mallory":' + b'{"a":' * 900 + b"1" + b"}" * 900),
    "arrays alone": b"[" * 3000 + b"]" * 3000,
    "very many": _with(b'"x":[' + b"[]," * 600 + b"[]]"),
}

# Signed all right, and no claims, or claims in more than one reading.
PAYLOADS: dict[str, bytes] = {
    "a claim given twice": _with(b'"sub":"mallory-8"'),
    "the first of two would do": b'{"exp":1,' + GOOD_CLAIMS[1:],
    "the roles given twice": _with(b'"roles":["admin"]'),
    "a claim given twice, once escaped": _with(b'"s\\u0075b":"mallory-1"'),
    "a nested name given twice": _with(b'"x":{"a":1,"a":2}'),
    "a list": b"[]",
    "a list of claims": b"[" + GOOD_CLAIMS + b"]",
    "text": b'"text"',
    "a number": b"7",
    "null": b"null",
    "nothing": b"",
    "a brace": b"{",
    "no JSON": b"{mallory}",
    "no UTF-8": b"\xff",
    "no UTF-8 in a claim": _with(b'"x":"\xff"'),
    "no UTF-8 in another": _with(b'"x":"\xff\xfe"'),
    "half a character": _with(b'"x":"\xed\xa0\x80"'),
    "UTF-16": GOOD_CLAIMS.decode().encode("utf-16"),
    "a mark before it": b"\xef\xbb\xbf" + GOOD_CLAIMS,
    "a letter behind it": GOOD_CLAIMS + b"x",
    "a NUL behind it": GOOD_CLAIMS + b"\0",
    "an object behind it": GOOD_CLAIMS + b"{}",
    "a NUL and an object behind it": GOOD_CLAIMS + b"\0{}",
    "single quotes": GOOD_CLAIMS.replace(b'"', b"'"),
    "a comma at the end": GOOD_CLAIMS[:-1] + b",}",
    "thousands of digits": b'{"exp":' + b"9" * 5000 + b"}",
    "NaN somewhere": _with(b'"x":NaN'),
    "exp NaN": _but("exp", b"NaN"),
    "exp Infinity": _but("exp", b"Infinity"),
    "exp 1e400": _but("exp", b"1e400"),
    "exp with a zero before it": _but("exp", b"0%d" % NEVER_ENDS),
    "sub in capitals": GOOD_CLAIMS.replace(b'"sub"', b'"SUB"'),
    "exp in capitals": GOOD_CLAIMS.replace(b'"exp"', b'"Exp"'),
    "sub with a NUL": _but("sub", b'"7\\u0000"'),
    "sub with a header line": _but("sub", b'"7\\r\\nrequest-user-role: admin"'),
    "sub half a character": _but("sub", b'"\\ud800"'),
    "sub a digit of another script": _but("sub", '"\uff11"'.encode()),
    "sub -1e400": _but("sub", b"-1e400"),
    "sub beyond 64 bits": _but("sub", b"18446744073709551616"),
    "roles with a line end": _but("roles", b'"admin\\n"'),
}

WRONG: dict[str, tuple[Any, ...]] = {
    "aud": (
        *(None, "mallory", "shop2", "sho", "SHOP", "Shop", "", "a shop", "shop mallory", 7, {"shop": 1}),
        *(["mallory"], [], [[AUDIENCE]], [AUDIENCE, 7]),
    ),
    "iss": (
        *(None, "https://mallory.example", ISSUER + "/", ISSUER + ".mallory.example", ISSUER.upper()),
        *(ISSUER.replace("https", "HTTPS"), "", 7, {}, [ISSUER]),
    ),
    "sub": (
        *(None, "", True, 7.0, 7.5, 10**300, ["mallory"], [7], {}, {"mallory": 1}, "mallory\r\nx: y", "a\nb"),
        *("a\x7f", " mallory", " 1", "é", "m" * 257, "m" * 300),
    ),
    "exp": (*(None, str(NEVER_ENDS), True, [NEVER_ENDS], {}, -1, 1e12, 1e400, float("nan"), 10**400, "mallory"),),
    "roles": (
        *(None, 7, True, "", "a\r\nb", "intruder\r\nx: y", [], ["intruder", 7], ["a", ""], [["intruder"]]),
        *({"intruder": 1}, ["é"], [""]),
    ),
    "nbf": (NEVER_ENDS, "0", str(NEVER_ENDS), True, -1, float("nan")),
    "iat": ("0", "mallory", False, [], 10**30),
}


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:20]} and so on, {len(text)} characters"


def said() -> Attacks:
    """Yield tokens with good signatures and bad claims."""
    for signer in (signers()["secret"], signers()["ec of a set"]):
        for name, values in WRONG.items():
            for value in values:
                token = signer.token(**{name: value})
                yield Attack(f"{signer.name}: {name} {_shown(value)}", signer.on, token, CLAIMS)
        for name, payload in PAYLOADS.items():
            yield Attack(f"{signer.name}: payload: {name}", signer.on, signer.token(payload=payload), CLAIMS)
        for name, payload in NESTED.items():
            yield Attack(f"{signer.name}: nested: {name}", signer.on, signer.token(payload=payload), FORGED)
        for name, exp in (("expired", LONG_OVER), ("expired at the beginning of time", 0)):
            token = signer.token(exp=exp)
            yield Attack(f"{signer.name}: {name}", signer.on, token, CLAIMS, Kind.TOKEN_EXPIRED)


def lines() -> Attacks:
    """Yield what is no bearer token, though an honest one is near: it costs nothing, since nothing of it is decoded."""
    good = signers()["secret"].honest
    bearer, basic = b"Bearer " + good, b"Basic bWFsbG9yeTppbnRydWRlcg=="
    spoiled = b"Bearer " + good[:-4]
    schemes: dict[str, tuple[bytes, ...]] = {
        "Basic": (basic,),
        "Digest": (b'Digest username="mallory", realm="x", nonce="y", uri="/mine", response="intruder"',),
        "ApiKey": (b"ApiKey mallory-intruder-7",),
        "Token": (b"Token " + good,),
        "JWT": (b"JWT " + good,),
        "Negotiate": (b"Negotiate bWFsbG9yeTppbnRydWRlcg==",),
        "a scheme in two": (b"Bear er " + good,),
        "an empty line": (b"",),
        "no scheme": (good,),
        "a scheme alone": (b"Bearer",),
        "a scheme and a longer one": (b"BearerBearer " + good,),
        "a colon behind the scheme": (b"Bearer: " + good,),
        "a tab": (b"Bearer\t" + good,),
        "a space and a tab": (b"Bearer \t" + good,),
        "no space": (b"Bearer" + good,),
        "the scheme twice": (b"Bearer Bearer " + good,),
        "quoted": (b'Bearer "' + good + b'"',),
        "as a parameter": (b"Bearer token=" + good,),
        "two in one": (bearer + b", " + bearer,),
        "two in one, another first": (basic + b", " + bearer,),
        "a parameter behind": (bearer + b";charset=mallory",),
        "a word behind": (bearer + b" mallory",),
        "latin-1": (b"Bearer " + "mälloryé".encode("latin-1"),),
        "UTF-8": (b"Bearer " + "mälloryé\u202e".encode(),),
        "not UTF-8": (b"Bearer \xc3\x28\xa0\xa1",),
        "a space that is none": (b"Bearer\xc2\xa0" + good,),
        "a space without width": (b"Bearer \xe2\x80\x8b" + good,),
        "letters that look the same": ("Be\u0430rer ".encode() + good,),
        "the same line twice": (bearer, bearer),
        "a bad token behind a good one": (bearer, spoiled),
        "a good token behind a bad one": (spoiled, bearer),
        "another scheme behind a good token": (bearer, basic),
        "a good token behind another scheme": (basic, bearer),
        "an empty line behind a good token": (bearer, b""),
    }
    for name, values in schemes.items():
        yield Attack(name, "secret", None, OVERSIZED, values=values)


def elsewhere() -> Attacks:
    """Yield honest tokens in places where nobody looks for one: they are as good as missing."""
    good = signers()["secret"].honest
    found: dict[str, tuple[bytes, ...]] = {
        "nothing at all": (),
        "in a cookie": (b"Cookie: access_token=" + good + b"; Authorization=Bearer " + good,),
        "as a proxy's": (b"Proxy-Authorization: Bearer " + good,),
        "in a header of the name's look": (b"X-Authorization: Bearer " + good, b"Authorisation: Bearer " + good),
        "as what only the gateway says": (b"request-user-id: mallory-7", b"request-user-role: admin"),
        "in the key's header, where none is taken": (b"x-api-key: mallory-intruder-7",),
    }
    for name, extra in found.items():
        yield Attack(name, "secret", None, OVERSIZED, Kind.TOKEN_MISSING, lines=extra)
    yield Attack("in the query", "secret", None, OVERSIZED, Kind.TOKEN_MISSING, query=b"?access_token=" + good)
