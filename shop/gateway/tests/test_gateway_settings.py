"""The settings of the shop's gateway: one address of a service, or several."""

import pytest
from pydantic import ValidationError

from shop_gateway.settings import Settings

ADDRESSES = [name for name in Settings.model_fields if name.endswith("_service_url")]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ADDRESSES:
        monkeypatch.setenv(name.upper(), f"http://{name.removesuffix('_service_url')}:8000")
    monkeypatch.setenv("SECRET_KEY", "a key that is long enough for tests")
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("http://orders:8000", ("http://orders:8000",)),
        ("http://a:8000,http://b:8000", ("http://a:8000", "http://b:8000")),
        (" http://a:8000 , unix:/run/b.sock ", ("http://a:8000", "unix:/run/b.sock")),
    ],
)
def test_a_service_has_one_address_or_several(
    environment: pytest.MonkeyPatch, text: str, addresses: tuple[str, ...]
) -> None:
    environment.setenv("ORDERS_SERVICE_URL", text)
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
    assert settings.orders_service_url == addresses
    assert settings.users_service_url == ("http://users:8000",)


MISSING = "an address is missing; write http://one:8000, or http://one:8000,http://two:8000 for several"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", MISSING),
        (",", MISSING),
        ("http://a:8000,", MISSING),
        ("http://a:8000,,http://b:8000", MISSING),
        ("http://a:8000, http://a:8000", "an address is named twice; every process has its own"),
    ],
)
def test_a_list_that_names_no_address_or_one_twice_is_refused(
    environment: pytest.MonkeyPatch, text: str, said: str
) -> None:
    environment.setenv("ORDERS_SERVICE_URL", text)
    with pytest.raises(ValidationError) as refused:
        Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
    (problem,) = refused.value.errors()
    assert problem["loc"] == ("orders_service_url",)
    assert said in problem["msg"]


def test_addresses_in_a_program_are_a_sequence() -> None:
    several = ("http://a:8000", "http://b:8000")
    settings = Settings.model_validate(
        {"secret_key": "a key that is long enough for tests"} | dict.fromkeys(ADDRESSES, several)
    )
    assert settings.suppliers_service_url == several


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "EVENTS_KEY has 0 bytes"),
        ("too short to be one", "EVENTS_KEY has 19 bytes"),
        ("a key that is long enough for tests", "EVENTS_KEY must not be SECRET_KEY"),
    ],
)
def test_a_secret_for_events_that_protects_nothing_is_refused_and_not_repeated(
    environment: pytest.MonkeyPatch, secret: str, said: str
) -> None:
    environment.setenv("EVENTS_KEY", secret)
    with pytest.raises(ValidationError, match=said) as refused:
        Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
    assert not secret or secret not in str(refused.value)


def test_proxies_in_front_are_named_as_addresses_and_networks(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TRUST", "10.0.0.0/8, 192.0.2.7")
    environment.setenv("TRUST_HEADERS", "forwarded")
    trust = Settings().trusted_proxies  # pyright: ignore[reportCallIssue] - the environment gives the fields
    assert (trust.covers(b"10.1.2.3"), trust.covers(b"192.0.2.8"), trust.speaks) == (True, False, "forwarded")


@pytest.mark.parametrize("nobody", [None, "", " "])
def test_without_a_name_no_proxy_is_believed(environment: pytest.MonkeyPatch, nobody: str | None) -> None:
    if nobody is not None:
        environment.setenv("TRUST", nobody)
    assert not Settings().trusted_proxies.networks  # pyright: ignore[reportCallIssue] - the environment gives the fields


@pytest.mark.parametrize(
    ("name", "wrong"), [("TRUST", "proxy.example"), ("TRUST", "10.0.0.0/8,"), ("TRUST_HEADERS", "both")]
)
def test_what_names_no_proxy_is_refused(environment: pytest.MonkeyPatch, name: str, wrong: str) -> None:
    environment.setenv(name, wrong)
    with pytest.raises(ValidationError, match=r"is no network|a network is missing|x-forwarded"):
        Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
