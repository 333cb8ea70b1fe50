"""Every bad token of the corpus, given to its verifier: each is the Fault it should be, and costs no more than it may.

What is counted is work: bytes of base64 decoded, texts parsed, signatures checked, tokens remembered. A gateway on each
engine is given the same corpus in ``test_conformance_identity``.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest

from attack_lists import GROUPS, corpus
from attacks import AUDIENCE, SIGNERS, VERIFIERS, Attack, Work, secret_token, signers, verifiers
from limen.auth.bearer import bearer_token
from limen.auth.jose import compact, json_object
from limen.auth.jose.jwk import Jwk
from limen.auth.jwt_live import Verifier
from limen.errors import Fault
from limen.exchange.principal import Principal
from tokens import NOW


@dataclass
class Meter:
    """Counts what a verifier does."""

    decoded: list[int] = field(default_factory=list[int])
    parsed: list[int] = field(default_factory=list[int])
    signatures: int = 0

    def take(self) -> Work:
        """Return what was done since the last time."""
        done = Work(sum(self.decoded), len(self.parsed), self.signatures)
        self.decoded.clear()
        self.parsed.clear()
        self.signatures = 0
        return done


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Count from now on, in every verifier."""
    made = Meter()
    decode, verifies = compact._from_base64url, Jwk.verifies  # pyright: ignore[reportPrivateUsage] - what is counted
    parse = json_object._DECODER.decode  # pyright: ignore[reportPrivateUsage] - what is counted

    def counted_decode(text: bytes) -> bytes | None:
        made.decoded.append(len(text))
        return decode(text)

    def counted_verifies(key: Jwk, signed: bytes, signature: bytes) -> bool:
        made.signatures += 1
        return verifies(key, signed, signature)

    class Counted:
        def decode(self, text: str) -> object:
            made.parsed.append(len(text))
            return parse(text)

    monkeypatch.setattr(compact, "_from_base64url", counted_decode)
    monkeypatch.setattr(Jwk, "verifies", counted_verifies)
    monkeypatch.setattr(json_object, "_DECODER", Counted())
    return made


def wrong_of(attack: Attack, verifier: Verifier, meter: Meter) -> list[str]:
    """Return what is not as the corpus says, as text; the verifier alone is asked too, before HTTP has had a look."""
    given = bearer_token(list(attack.authorization))
    found = {"the header": given if isinstance(given, Fault) else verifier.verify(given, NOW)}
    done = {"the header": meter.take()}
    if attack.token is not None:
        found["the verifier"] = verifier.verify(attack.token, NOW)
        done["the verifier"] = meter.take()
    wrong = [
        f"{by}: {each}" for by, each in found.items() if not isinstance(each, Fault) or each.kind is not attack.kind
    ]
    most = attack.most
    wrong += [
        f"{by}: {each} is more than {most}"
        for by, each in done.items()
        if each.decoded > most.decoded or each.parsed > most.parsed or each.signatures > most.signatures
    ]
    return wrong


@pytest.mark.parametrize("group", GROUPS)
def test_every_bad_token(group: str, meter: Meter) -> None:
    live = {name: Verifier(config) for name, config in verifiers().items()}
    attacks = corpus(group)
    meter.take()
    wrong = {attack.name: said for attack in attacks if (said := wrong_of(attack, live[attack.on], meter))}
    assert attacks
    assert not wrong
    assert {repr(one).split()[-2] for one in live.values()} == {"0/4096"}, "nothing of it is remembered"


@pytest.mark.parametrize("name", SIGNERS)
def test_the_honest_token_that_attacks_are_made_of_is_accepted(name: str, meter: Meter) -> None:
    signer = signers()[name]
    found = Verifier(verifiers()[signer.on]).verify(signer.honest, NOW)
    assert isinstance(found, Principal)
    assert (found.id, found.roles) == ("mallory-7", {"intruder"})
    # The meter counts: a bound on something that is not counted would hold for ever.
    assert meter.take() == Work(sum(map(len, signer.parts)), 2, 1)


def test_an_attack_is_in_the_corpus_once() -> None:
    attacks = [attack for group in GROUPS for attack in corpus(group)]
    names = Counter(attack.name for attack in attacks)
    assert not [name for name, count in names.items() if count > 1]
    sent: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for attack in attacks:
        sent[attack.on, attack.authorization, attack.query, attack.lines].append(attack.name)
    assert not [same for same in sent.values() if len(same) > 1]
    assert {attack.on for attack in attacks} == set(VERIFIERS) == set(verifiers())
    assert set(signers()) == set(SIGNERS)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", "application/JWT"])
def test_types_of_tokens_that_are_for_signing_in(typ: str) -> None:
    assert isinstance(Verifier(verifiers()["secret"]).verify(secret_token({"typ": typ}), NOW), Principal)


def test_an_audience_among_others() -> None:
    made = secret_token(aud=["mallory", AUDIENCE])
    assert isinstance(Verifier(verifiers()["secret"]).verify(made, NOW), Principal)
