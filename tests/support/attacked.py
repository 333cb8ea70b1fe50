"""What tokens attack: a verifier of each kind, an honest token for each, and the means to take one apart."""

import json
from typing import Any

from joserfc.jwk import ECKey

from limen.declare.jwt import Jwt
from limen.declare.keys import Keys
from limen.declare.principal import Principal
from limen.errors import Fault, Kind
from limen.gates.jwt import Verifier, issue
from tokens import NOW, SECRET, b64, pair

HS = Jwt(SECRET)
PAIRS = {algorithm: pair(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
PEM = {algorithm: Jwt(private, [algorithm]) for algorithm, (private, _) in PAIRS.items()}
EC: dict[str, Any] = dict(ECKey.generate_key("P-256").as_dict(private=True)) | {"alg": "ES256", "kid": "a"}
SET = Jwt(keys=Keys.of(json.dumps({"keys": [EC]})))
HONEST = {name: issue(config, 7, "admin", NOW).encode() for name, config in ({"HS256": HS, "set": SET} | PEM).items()}
CONFIGS = {"HS256": HS, "set": SET} | PEM


def verdict(given: bytes, config: Jwt = HS, now: float = NOW) -> Kind | Principal:
    found = Verifier(config).verify(given, now)
    return found.kind if isinstance(found, Fault) else found


def parts(token: bytes) -> tuple[bytes, bytes, bytes]:
    header, payload, signature = token.split(b".")
    return header, payload, signature


def joined(*each: object) -> bytes:
    """Return a token of these parts: bytes as they are, anything else as JSON in base64url."""
    return b".".join(part if isinstance(part, bytes) else b64(json.dumps(part).encode()) for part in each)
