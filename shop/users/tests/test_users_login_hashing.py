"""Hashing in a bounded pool: how many at once, how many wait, and that all verifications cost the same."""

import asyncio
import os
import sys
from pathlib import Path
from threading import Event, current_thread, get_native_id

import pytest
from argon2 import extract_parameters
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.bcrypt import BcryptHasher

from limen_kit.logs import request_id
from limen_kit.testing import running
from shop_users.app import create_app
from shop_users.passwords import NOBODY, WAITING, Busy, Passwords
from shop_users.settings import Settings


@pytest.fixture(autouse=True)
def cheap_hashes() -> None:
    """Leave the cost as it is in production: these tests are about it."""


class SlowHasher:
    """Hashes only when it is let."""

    def __init__(self) -> None:
        self.go = Event()
        self.begun: list[str] = []
        self.threads: set[str] = set()

    def hash(self, password: str) -> str:
        self.begun.append(password)
        self.threads.add(current_thread().name)
        assert self.go.wait(30)
        return password

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        self.hash(password)
        return True, None


class CountingHasher:
    """Counts verifications; as pwdlib, it knows no hash but argon2 and bcrypt."""

    def __init__(self) -> None:
        self.verified: list[str] = []

    def hash(self, password: str) -> str:
        return password

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        if not hashed.startswith(("$argon2id$", "$2b$12$")):
            raise UnknownHashError(hashed)
        self.verified.append(hashed)
        return False, None


async def test_so_many_hash_and_so_many_wait_and_all_others_are_told_at_once() -> None:
    hasher = SlowHasher()
    passwords = Passwords(2, waiting=3, hasher=hasher)
    tasks = [asyncio.create_task(passwords.hashed(str(number))) for number in range(5)]
    await asyncio.sleep(0)
    assert repr(passwords) == "<Passwords callers=5 of 5>"
    for call in (passwords.hashed("x"), passwords.verified("x", NOBODY), passwords.verified("x", None)):
        with pytest.raises(Busy) as caught:
            await call
        assert (caught.value.status, caught.value.code) == (503, "busy")
        assert caught.value.headers is not None
        assert 5 <= int(caught.value.headers["retry-after"]) <= 15
    hasher.go.set()
    assert await asyncio.gather(*tasks) == ["0", "1", "2", "3", "4"]
    assert len(hasher.threads) <= 2
    assert repr(passwords) == "<Passwords callers=0 of 5>"
    assert await passwords.hashed("x") == "x"


async def test_whoever_leaves_gives_the_place_free_and_is_not_hashed() -> None:
    hasher = SlowHasher()
    passwords = Passwords(1, waiting=1, hasher=hasher)
    first, second = (asyncio.create_task(passwords.hashed(name)) for name in ("first", "second"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    third = asyncio.create_task(passwords.hashed("third"))
    await asyncio.sleep(0)
    hasher.go.set()
    assert await asyncio.gather(first, third) == ["first", "third"]
    assert hasher.begun == ["first", "third"]


async def test_a_login_that_finds_no_place_is_told_so_and_costs_no_attempt(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"json:{tmp_path}/users.json", demo=True))
    async with running(app) as client:
        hasher = SlowHasher()
        app.state.passwords = passwords = Passwords(1, waiting=0, hasher=hasher)
        waiting = asyncio.create_task(passwords.hashed("x"))
        await asyncio.sleep(0)
        for _ in range(30):
            got = await client.post("/api/login", json={"username": "johndoe", "password": "wrong"})
            assert (got.status_code, got.json()["code"]) == (503, "busy")
            assert 5 <= int(got.headers["retry-after"]) <= 15
        assert repr(app.state.guessing) == "<Guessing accounts=0 addresses=0 pairs=0 known=0>"
        hasher.go.set()
        await waiting
        assert (await client.post("/api/login", json={"username": "johndoe", "password": "b"})).status_code == 201


@pytest.mark.parametrize(
    ("password", "hashed", "seen"),
    [
        ("x", NOBODY, NOBODY),
        ("x", None, NOBODY),
        ("x", "", NOBODY),
        ("x", "{SHA}xyz", NOBODY),
        ("x", "$2b$12$" + "a" * 53, "$2b$12$" + "a" * 53),
        # bcrypt takes no more than 72 bytes, so there is nothing to ask it.
        ("x" * 73, "$2b$12$" + "a" * 53, NOBODY),
        ("é" * 37, "$2b$12$" + "a" * 53, NOBODY),
    ],
)
async def test_every_verification_is_one_hash(password: str, hashed: str | None, seen: str) -> None:
    hasher = CountingHasher()
    assert await Passwords(1, hasher=hasher).verified(password, hashed) == (False, None)
    assert hasher.verified == [seen]


async def test_nobodys_hash_costs_what_a_new_one_costs_and_fits_no_password() -> None:
    passwords = Passwords(1)
    made = await passwords.hashed("x")
    assert extract_parameters(made) == extract_parameters(NOBODY)
    assert len(made) == len(NOBODY)
    for password in ("", "x", "nobody"):
        assert await passwords.verified(password, None) == (False, None)
        assert await passwords.verified(password, NOBODY) == (False, None)


async def test_bcrypt_is_verified_in_the_same_pool() -> None:
    passwords = Passwords(1)
    right, better = await passwords.verified("old", BcryptHasher(rounds=4).hash("old"))
    assert right
    assert better is not None
    assert await passwords.verified("old", better) == (True, None)


async def test_what_a_thread_logs_names_the_request(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    class Hasher(CountingHasher):
        def hash(self, password: str) -> str:
            seen.append(request_id.get())
            return password

    token = request_id.set("of-this-request")
    await Passwords(1, hasher=Hasher()).hashed("x")
    request_id.reset(token)
    assert seen == ["of-this-request"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority and a set of cores for each thread")
async def test_threads_that_hash_step_back_and_no_other_does() -> None:
    seen: list[tuple[int, set[int]]] = []

    class Hasher(CountingHasher):
        def hash(self, password: str) -> str:
            seen.append(standing())
            return password

    def standing() -> tuple[int, set[int]]:
        return os.getpriority(os.PRIO_PROCESS, get_native_id()), os.sched_getaffinity(get_native_id())

    nice, cores = standing()
    await Passwords(1, hasher=Hasher()).hashed("x")
    assert seen[0][0] > nice
    assert seen[0][1] == (cores - {min(cores)} or cores)
    assert standing() == (nice, cores)


def test_there_are_fewer_threads_than_cores_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr("shop_users.passwords._cores", lambda cores=cores: cores)
        assert repr(Passwords()) == f"<Passwords callers=0 of {threads + WAITING}>"
    assert repr(Passwords(3)) == f"<Passwords callers=0 of {3 + WAITING}>"


def test_the_number_of_threads_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH_THREADS", "5")
    app = create_app(Settings(database_url=f"json:{tmp_path}/users.json"))
    assert repr(app.state.passwords) == f"<Passwords callers=0 of {5 + WAITING}>"
    for wrong in ("0", "65", "many"):
        monkeypatch.setenv("HASH_THREADS", wrong)
        with pytest.raises(ValueError, match="hash_threads"):
            Settings()
