"""One password and one name, however a keyboard writes them: the normal forms of RFC 8265."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen_accounts import passwords
from limen_accounts.accounts import NewAccount, UsernameOrEmailTaken, former_username_key, username_key
from limen_accounts.passwords import PasswordHasher, normalized
from limen_accounts.stores import Stores
from limen_accounts.testing import HASHER
from limen_accounts.tortoise_stores.models import AccountRow

COMPOSED = normalize("NFC", "p\u00e4ssw\u00f6rd-\u00e9")
DECOMPOSED = normalize("NFD", COMPOSED)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def new_account(username: str) -> NewAccount:
    return NewAccount(username=username, hashed_password="h", user_type="default", created_by=1)


class CountingLibrary:
    """Hashes nothing; counts what it verifies."""

    def __init__(self) -> None:
        self.verified: list[tuple[str, str]] = []

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        self.verified.append((password, hashed))
        return hashed == f"hash of {password}", None


@given(TEXT)
def test_a_password_has_one_form_whatever_its_composition_and_blanks(text: str) -> None:
    forms = {normalized(normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {normalized(text)} == {normalized(normalized(text))}
    assert normalized(text.replace(" ", "\u3000")) == normalized(text)


def test_case_and_width_are_part_of_a_password() -> None:
    assert len({normalized(text) for text in ("secret", "Secret", "\uff53ecret")}) == 3


async def test_a_password_is_right_in_both_forms_however_it_was_set() -> None:
    hasher = PasswordHasher(1)
    for set_as in (COMPOSED, DECOMPOSED):
        hashed = await hasher.hash(set_as)
        for typed in (COMPOSED, DECOMPOSED):
            assert await hasher.verify(typed, hashed) == (True, None)


async def test_a_hash_of_what_was_sent_is_right_and_replaced_by_that_of_the_normal_form() -> None:
    hasher, former = PasswordHasher(1), HASHER.hash(DECOMPOSED)
    matches, upgraded = await hasher.verify(DECOMPOSED, former)
    assert matches
    assert upgraded is not None
    for typed in (COMPOSED, DECOMPOSED):
        assert (await hasher.verify(typed, upgraded))[0]


@pytest.mark.parametrize(("password", "hashes"), [(COMPOSED, 1), (DECOMPOSED, 2), ("plain", 1)])
async def test_what_is_sent_decides_how_often_is_hashed_and_not_the_account(password: str, hashes: int) -> None:
    library = CountingLibrary()
    hasher = PasswordHasher(1, library=library)
    for hashed in ("hash of another", None):
        library.verified.clear()
        assert await hasher.verify(password, hashed) == (False, None)
        assert [found for _, found in library.verified] == [hashed or passwords.DUMMY_HASH] * hashes


@given(TEXT)
def test_a_username_has_one_key_whatever_its_composition_and_case(text: str) -> None:
    assert username_key(normalize("NFC", text)) == username_key(normalize("NFD", text)) == username_key(text)


async def test_names_of_another_width_case_or_composition_are_one(stores: Stores) -> None:
    made = await stores.accounts.create_account(new_account("J\u00fcrgen"))
    for name in ("J\u00fcrgen", "Ju\u0308rgen", "J\u00dcRGEN", "\uff2a\u00fcrgen"):
        assert await stores.accounts.get_account_by_username(name) == made
        with pytest.raises(UsernameOrEmailTaken):
            await stores.accounts.create_account(new_account(name))


async def test_an_account_of_before_is_found_by_the_name_that_it_has(stores: Stores, store_url: str) -> None:
    wide = await stores.accounts.create_account(new_account("\uff21da"))
    if not store_url.startswith("json:"):  # the key that an earlier version has stored; a JSON file has none
        await AccountRow.filter(id=1).update(username_key=former_username_key("\uff21da"))
        plain = await stores.accounts.create_account(new_account("ada"))
        assert await stores.accounts.get_account_by_username("Ada") == plain
    assert await stores.accounts.get_account_by_username("\uff21DA") == wide
