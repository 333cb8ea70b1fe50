"""Hashing in a bounded pool: how many run, how many wait, and that all verifications cost the same."""

import asyncio
import os
import sys
from pathlib import Path
from threading import Event, current_thread, get_native_id

import pytest
from argon2 import extract_parameters
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.bcrypt import BcryptHasher

from limen_accounts.passwords import DUMMY_HASH, MAX_WAITING, HashingBusy, PasswordHasher
from limen_accounts.settings import AccountsSettings
from limen_accounts.testing.service import FIRST_ACCOUNTS, make_service, settings_for
from limen_kit.logs import request_id
from limen_kit.testing import running


@pytest.fixture(autouse=True)
def cheap_hashes() -> None:
    """Override the cheap hashes: these tests are about the real cost."""


class SlowLibrary:
    """Finishes hashes only once ``go`` is set."""

    def __init__(self) -> None:
        self.go = Event()
        self.started: list[str] = []
        self.threads: set[str] = set()

    def hash(self, password: str) -> str:
        self.started.append(password)
        self.threads.add(current_thread().name)
        assert self.go.wait(30)
        return password

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        self.hash(password)
        return True, None


class CountingLibrary:
    """Records verifications; like pwdlib, it knows only argon2 and bcrypt."""

    def __init__(self) -> None:
        self.verified_hashes: list[str] = []

    def hash(self, password: str) -> str:
        return password

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        if not hashed.startswith(("$argon2id$", "$2b$12$")):
            raise UnknownHashError(hashed)
        self.verified_hashes.append(hashed)
        return False, None


async def test_hashes_and_waiters_are_bounded_and_others_are_refused_at_once() -> None:
    library = SlowLibrary()
    hasher = PasswordHasher(2, max_waiting=3, library=library)
    tasks = [asyncio.create_task(hasher.hash(str(number))) for number in range(5)]
    await asyncio.sleep(0)
    assert repr(hasher) == "<PasswordHasher callers=5 of 5>"
    for call in (hasher.hash("x"), hasher.verify("x", DUMMY_HASH), hasher.verify("x", None)):
        with pytest.raises(HashingBusy) as caught:
            await call
        assert (caught.value.status, caught.value.code) == (503, "busy")
        assert caught.value.headers is not None
        assert 5 <= int(caught.value.headers["retry-after"]) <= 15
    library.go.set()
    assert await asyncio.gather(*tasks) == ["0", "1", "2", "3", "4"]
    assert len(library.threads) <= 2
    assert repr(hasher) == "<PasswordHasher callers=0 of 5>"
    assert await hasher.hash("x") == "x"


async def test_a_cancelled_caller_frees_its_place_and_is_not_hashed() -> None:
    library = SlowLibrary()
    hasher = PasswordHasher(1, max_waiting=1, library=library)
    first, second = (asyncio.create_task(hasher.hash(name)) for name in ("first", "second"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    third = asyncio.create_task(hasher.hash("third"))
    await asyncio.sleep(0)
    library.go.set()
    assert await asyncio.gather(first, third) == ["first", "third"]
    assert library.started == ["first", "third"]


async def test_a_busy_hasher_refuses_a_login_without_counting_an_attempt(tmp_path: Path) -> None:
    app = make_service(settings_for(f"json:{tmp_path}/users.json"), first_accounts=FIRST_ACCOUNTS)
    async with running(app) as client:
        library = SlowLibrary()
        app.state.accounts.password_hasher = hasher = PasswordHasher(1, max_waiting=0, library=library)
        max_waiting = asyncio.create_task(hasher.hash("x"))
        await asyncio.sleep(0)
        for _ in range(30):
            response = await client.post("/api/login", json={"username": "johndoe", "password": "wrong"})
            assert (response.status_code, response.json()["code"]) == (503, "busy")
            assert 5 <= int(response.headers["retry-after"]) <= 15
        assert repr(app.state.accounts.login_throttle) == "<LoginThrottle accounts=0 addresses=0 known=0 pairs=0>"
        library.go.set()
        await max_waiting
        assert (await client.post("/api/login", json={"username": "johndoe", "password": "b"})).status_code == 201


@pytest.mark.parametrize(
    ("password", "hashed", "verified_against"),
    [
        ("x", DUMMY_HASH, DUMMY_HASH),
        ("x", None, DUMMY_HASH),
        ("x", "", DUMMY_HASH),
        ("x", "{SHA}xyz", DUMMY_HASH),
        ("x", "$2b$12$" + "a" * 53, "$2b$12$" + "a" * 53),
        # bcrypt takes at most 72 bytes, so it is not called.
        ("x" * 73, "$2b$12$" + "a" * 53, DUMMY_HASH),
        ("é" * 37, "$2b$12$" + "a" * 53, DUMMY_HASH),
    ],
)
async def test_every_verification_is_one_hash(password: str, hashed: str | None, verified_against: str) -> None:
    library = CountingLibrary()
    assert await PasswordHasher(1, library=library).verify(password, hashed) == (False, None)
    assert library.verified_hashes == [verified_against]


async def test_the_dummy_hash_costs_as_much_as_a_new_one_and_matches_no_password() -> None:
    hasher = PasswordHasher(1)
    new_hash = await hasher.hash("x")
    assert extract_parameters(new_hash) == extract_parameters(DUMMY_HASH)
    assert len(new_hash) == len(DUMMY_HASH)
    for password in ("", "x", "nobody"):
        assert await hasher.verify(password, None) == (False, None)
        assert await hasher.verify(password, DUMMY_HASH) == (False, None)


async def test_bcrypt_is_verified_in_the_same_pool() -> None:
    hasher = PasswordHasher(1)
    matches, upgraded = await hasher.verify("old", BcryptHasher(rounds=4).hash("old"))
    assert matches
    assert upgraded is not None
    assert await hasher.verify("old", upgraded) == (True, None)


async def test_log_lines_of_a_hashing_thread_carry_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    verified_against: list[str] = []

    class HashingLibrary(CountingLibrary):
        def hash(self, password: str) -> str:
            verified_against.append(request_id.get())
            return password

    token = request_id.set("of-this-request")
    await PasswordHasher(1, library=HashingLibrary()).hash("x")
    request_id.reset(token)
    assert verified_against == ["of-this-request"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority and a set of cores for each thread")
async def test_only_hashing_threads_have_a_lower_priority() -> None:
    verified_against: list[tuple[int, set[int]]] = []

    class HashingLibrary(CountingLibrary):
        def hash(self, password: str) -> str:
            verified_against.append(priority_and_cores())
            return password

    def priority_and_cores() -> tuple[int, set[int]]:
        return os.getpriority(os.PRIO_PROCESS, get_native_id()), os.sched_getaffinity(get_native_id())

    nice, cores = priority_and_cores()
    await PasswordHasher(1, library=HashingLibrary()).hash("x")
    assert verified_against[0][0] > nice
    assert verified_against[0][1] == (cores - {min(cores)} or cores)
    assert priority_and_cores() == (nice, cores)


def test_there_are_fewer_threads_than_cores_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr("limen_accounts.passwords._cores", lambda cores=cores: cores)
        assert repr(PasswordHasher()) == f"<PasswordHasher callers=0 of {threads + MAX_WAITING}>"
    assert repr(PasswordHasher(3)) == f"<PasswordHasher callers=0 of {3 + MAX_WAITING}>"


def test_the_number_of_threads_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH_THREADS", "5")
    app = make_service(settings_for(f"json:{tmp_path}/users.json"))
    assert repr(app.state.accounts.password_hasher) == f"<PasswordHasher callers=0 of {5 + MAX_WAITING}>"
    for wrong in ("0", "65", "many"):
        monkeypatch.setenv("HASH_THREADS", wrong)
        with pytest.raises(ValueError, match="hash_threads"):
            AccountsSettings()
