"""What an attacker sends in place of a token, each with its name: tokens for the gateway with a secret, and header lines."""

import json
from time import time
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from attacks import ISSUER, SOON, bearer, claims, secret
from tokens import b64, sign

GOOD = secret()
HEAD, PAYLOAD, SIGNATURE = GOOD.split(b".")
# Keys of the attacker's own.
EVIL_RSA = RSAKey.generate_key(2048)
EVIL_EC = ECKey.generate_key("P-256")
EVIL_JWK = EVIL_RSA.as_dict(private=False)

NONES = ("none", "None", "NONE", "nOnE", "none ", "", "n\u043ene", "HS256\0", "hs256", "null")
KIDS: tuple[Any, ...] = (
    *(
        "../../../../dev/null",
        "/dev/null",
        "' OR 1=1 --",
        "x' UNION SELECT 'k",
        "| id",
        "\0",
        "",
        "unknown",
        "é",
        "x" * 2000,
    ),
    *(7, None, True, ["rsa-key"], {"$ne": "x"}),
)
DEEP = b"[" * 3000 + b"]" * 3000
DEEP_OBJECT = b'{"a":' * 1000 + b"1" + b"}" * 1000


def with_raw(extra: bytes) -> bytes:
    """Return the JSON of good claims with ``extra`` members behind."""
    return json.dumps(claims()).encode()[:-1] + b"," + extra + b"}"


CHOOSING: dict[str, dict[str, Any]] = {
    "jku": {"jku": "https://mallory.example/keys"},
    "x5u": {"x5u": "https://mallory.example/cert"},
    "x5c": {"x5c": ["bWFsbG9yeQ=="]},
    "an embedded jwk": {"jwk": EVIL_JWK},
    "an embedded secret": {"jwk": {"kty": "oct", "k": "AAAA"}},
    "crit": {"crit": ["exp"]},
    "an unencoded payload": {"b64": False, "crit": ["b64"]},
    "zip": {"zip": "DEF"},
    "alg as a list": {"alg": ["HS256", "RS256"]},
    "alg as an object": {"alg": {"mallory": 1}},
}

FORMS: dict[str, bytes] = {
    "no signature": HEAD + b"." + PAYLOAD + b".",
    "no signature and no dot": HEAD + b"." + PAYLOAD,
    "one part": HEAD,
    "four parts": GOOD + b"." + SIGNATURE,
    "five parts, as an encrypted token": b".".join((HEAD, SIGNATURE, SIGNATURE, PAYLOAD, SIGNATURE)),
    "only dots": b"..",
    "thousands of dots": b"." * 8000,
    "an empty payload": HEAD + b".." + SIGNATURE,
    "the signature of another payload": HEAD
    + b"."
    + b64(json.dumps(claims(sub="mallory-1")).encode())
    + b"."
    + SIGNATURE,
    "a signature cut short": GOOD[:-4],
    "a signature with bytes behind it": GOOD + b"AAAA",
    "padded": GOOD + b"=",
    "standard base64": HEAD + b"." + PAYLOAD + b"." + b"+/" * 21 + b"+",
    "another secret": sign({"alg": "HS256"}, claims(), key=b"x" * 32),
    "no secret": sign({"alg": "HS256"}, claims(), key=b""),
    "another digest": sign({"alg": "HS512"}, claims(), digest="sha512"),
    "a huge token below the limit of the head": secret(mallory="y" * 12_000),
    "a huge header": secret({"kid": "y" * 8_000}),
    "deeply nested claims": sign({"alg": "HS256"}, with_raw(b'"mallory":' + DEEP)),
    "deeply nested objects": sign({"alg": "HS256"}, with_raw(b'"mallory":' + DEEP_OBJECT)),
    "nested claims alone": sign({"alg": "HS256"}, DEEP),
    "a deeply nested header": sign(b'{"alg":"HS256","x":' + b"[" * 500 + b"]" * 500 + b"}", claims()),
    "a claim given twice": sign({"alg": "HS256"}, with_raw(b'"roles":["admin"]')),
    "a claim given twice, once escaped": sign({"alg": "HS256"}, with_raw(b'"s\\u0075b":"mallory-1"')),
    "a nested claim given twice": sign({"alg": "HS256"}, with_raw(b'"x":{"a":1,"a":2}')),
    "a header given twice": sign(b'{"alg":"HS256","alg":"none"}', claims()),
    "claims that are a list": sign({"alg": "HS256"}, [claims()]),
    "claims that are no JSON": sign({"alg": "HS256"}, b"{mallory}"),
    "claims that are no UTF-8": sign({"alg": "HS256"}, with_raw(b'"x":"\xff\xfe"')),
    "claims with bytes behind them": sign({"alg": "HS256"}, json.dumps(claims()).encode() + b"\0{}"),
    "claims with a mark before them": sign({"alg": "HS256"}, b"\xef\xbb\xbf" + json.dumps(claims()).encode()),
    "a header that is a list": sign([{"alg": "HS256"}], claims()),
}

CLAIMS: dict[str, tuple[Any, ...]] = {
    "aud": (None, "mallory", "shop2", "SHOP", ["mallory"], [], 7, {"shop": 1}, [["shop"]], "shop mallory"),
    "iss": (None, "https://mallory.example", ISSUER + "/", ISSUER.upper(), [ISSUER], 7, {}),
    "sub": (None, "", True, 7.5, 10**300, ["mallory"], {"mallory": 1}, "mallory\r\nx: y", " mallory", "é", "m" * 300),
    "exp": (None, str(SOON), True, [SOON], {}, -1, 1e400, float("nan"), 10**400, "mallory"),
    "roles": (None, 7, True, "", "intruder\r\nx: y", ["intruder", 7], [["intruder"]], {"intruder": 1}, ["é"], [""]),
    "nbf": (SOON, str(SOON), True, -1, float("nan")),
    "iat": ("mallory", False, [], 10**30),
}
WRONG = {f"{name} {value!r:.40}": secret(**{name: value}) for name, values in CLAIMS.items() for value in values}

EXPIRED = {
    "expired": secret(exp=int(time()) - 3600),
    "expired at the beginning of time": secret(exp=0),
}

# No bearer tokens at all.
OTHER_SCHEMES: dict[str, bytes] = {
    "Basic": b"Basic bWFsbG9yeTppbnRydWRlcg==",
    "Digest": b'Digest username="mallory", realm="x", nonce="y", uri="/mine", response="intruder"',
    "ApiKey": b"ApiKey mallory-intruder-7",
    "Token": b"Token " + GOOD,
    "JWT": b"JWT " + GOOD,
    "Negotiate": b"Negotiate bWFsbG9yeTppbnRydWRlcg==",
    "a scheme in two": b"Bear er " + GOOD,
}

SCHEMES: dict[str, bytes] = {
    "no scheme": GOOD,
    "a scheme alone": b"Bearer",
    "a scheme and a longer one": b"BearerBearer " + GOOD,
    "a colon behind the scheme": b"Bearer: " + GOOD,
    "two spaces": b"Bearer  " + GOOD,
    "a tab": b"Bearer\t" + GOOD,
    "a space and a tab": b"Bearer \t" + GOOD,
    "no space": b"Bearer" + GOOD,
    "the scheme twice": b"Bearer Bearer " + GOOD,
    "quoted": b'Bearer "' + GOOD + b'"',
    "as a parameter": b"Bearer token=" + GOOD,
    "two in one": b"Bearer " + GOOD + b", Bearer " + GOOD,
    "two in one, another first": b"Basic bWFsbG9yeTppbnRydWRlcg==, Bearer " + GOOD,
    "a comma behind": b"Bearer " + GOOD + b",",
    "a parameter behind": b"Bearer " + GOOD + b";charset=mallory",
    "a word behind": b"Bearer " + GOOD + b" mallory",
    "a percent-encoded NUL behind": b"Bearer " + GOOD + b"%00",
    "a dot behind": b"Bearer " + GOOD + b".",
    "a byte above ASCII behind": b"Bearer " + GOOD + b"\xff",
    "latin-1": b"Bearer " + "mälloryé".encode("latin-1"),
    "UTF-8": b"Bearer " + "mälloryé\u202e".encode(),
    "not UTF-8": b"Bearer \xc3\x28\xa0\xa1",
    "a space that is none": b"Bearer\xc2\xa0" + GOOD,
    "a space without width": b"Bearer \xe2\x80\x8b" + GOOD,
    "letters that look the same": "Beаrer ".encode() + GOOD,  # noqa: RUF001  # that is the attack
}

LINES: dict[str, tuple[bytes, ...]] = {
    "the same line twice": (bearer(GOOD), bearer(GOOD)),
    "a bad token behind a good one": (bearer(GOOD), bearer(GOOD[:-4])),
    "a good token behind a bad one": (bearer(GOOD[:-4]), bearer(GOOD)),
    "another scheme behind a good token": (bearer(GOOD), b"Authorization: Basic bWFsbG9yeTppbnRydWRlcg=="),
    "a good token behind another scheme": (b"Authorization: Basic bWFsbG9yeTppbnRydWRlcg==", bearer(GOOD)),
    "an empty line behind a good token": (bearer(GOOD), b"Authorization:"),
    "twice, in other cases": (b"authorization: Bearer " + GOOD, b"AUTHORIZATION: Bearer " + GOOD),
}

ELSEWHERE: dict[str, tuple[bytes, ...]] = {
    "nothing at all": (b"/mine",),
    "in the query": (b"/mine?access_token=" + GOOD,),
    "in a cookie": (b"/mine", b"Cookie: access_token=" + GOOD + b"; Authorization=Bearer " + GOOD),
    "as a proxy's": (b"/mine", b"Proxy-Authorization: Bearer " + GOOD),
    "in a header of the name's look": (b"/mine", b"X-Authorization: Bearer " + GOOD, b"Authorisation: Bearer " + GOOD),
    "as what only the gateway says": (b"/mine", b"request-user-id: mallory-7", b"request-user-role: admin"),
    "in the key's header, where none is taken": (b"/mine", b"x-api-key: mallory-intruder-7"),
}
