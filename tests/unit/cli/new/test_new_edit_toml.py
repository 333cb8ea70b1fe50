"""limen.toml with one more service: what was there stays, letter by letter, and the new entry comes before the gateway's."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.cli.new.edit_toml import add_service
from limen.cli.new.plan import CannotEdit

ENTRY = '[services.reviews]\napp = "a:app"\nport = 8015\n'
TOPOLOGY = '''# what runs
[up]
banner = """
Services  ${users.urls}  (behind)
"""

[services.users]  # the first
app = "users:app"
port = 8011

# The only way in.
[services.gateway]
app = "gateway:app"
port = 8001

[services.gateway.env]
USERS_SERVICE_URL = "${users.urls}" # where
# the end
'''


def added(text: str, gateway: str = "gateway", beside: str | None = "users") -> str:
    return add_service(text, "reviews", ENTRY, gateway=gateway, variable="REVIEWS_SERVICE_URL", beside=beside)


def test_text_is_added_and_none_is_lost() -> None:
    after = added(TOPOLOGY)
    assert after == TOPOLOGY.replace("${users.urls}  (", "${users.urls}  ${reviews.urls}  (").replace(
        "# The only way in.", f"{ENTRY}\n# The only way in."
    ).replace(" # where\n", ' # where\nREVIEWS_SERVICE_URL = "${reviews.urls}"\n')
    assert list(tomllib.loads(after)["services"]) == ["users", "reviews", "gateway"]


def test_a_banner_that_does_not_name_the_neighbour_stays() -> None:
    assert "${reviews.urls}  (" not in added(TOPOLOGY, beside=None)


@pytest.mark.parametrize(
    ("env", "changed"),
    [
        ('env = { A = "b" }', 'env = { A = "b", REVIEWS_SERVICE_URL = "${reviews.urls}" }'),
        ("env = {}", 'env = { REVIEWS_SERVICE_URL = "${reviews.urls}" }'),
    ],
)
def test_an_environment_in_one_line_gets_the_address_too(env: str, changed: str) -> None:
    text = f'[services.gateway]\napp = "g:app"\nport = 1\n{env}\n'
    after = added(text)
    assert tomllib.loads(after)["services"]["gateway"]["env"] == tomllib.loads(changed)["env"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[services]\ngateway = { app = "g:app", port = 1 }\n', "it has no line [services.gateway]"),
        ('[services.gateway]\napp = "g:app"\nport = 1\n', "it has no table [services.gateway.env]"),
        ('[services.gateway]\nenv = { A = "x" } # see }\n', "would not mean what it should"),
        (f'{ENTRY}[services.gateway]\n[services.gateway.env]\nA = "b"\n', "the text would not mean what it should"),
        ('[services.gateway]\n[services.gateway.env]\nREVIEWS_SERVICE_URL = "x"\n', "would not mean what it should"),
    ],
)
def test_what_has_no_place_for_it_is_refused_with_the_lines_to_add(text: str, said: str) -> None:
    with pytest.raises(CannotEdit) as refused:
        added(text)
    assert said in refused.value.reason
    assert ENTRY in refused.value.lines
    assert 'REVIEWS_SERVICE_URL = "${reviews.urls}"' in refused.value.lines


@given(
    values=st.lists(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Z"), exclude_characters="\"\\'")))
)
def test_whatever_the_values_of_others_are_they_are_kept(values: list[str]) -> None:
    env = "".join(f'V{number} = "{value}"\n' for number, value in enumerate(values))
    before = f'[services.gateway]\napp = "g:app"\n[services.gateway.env]\n{env}'
    try:
        after = added(before)
    except CannotEdit:
        return
    found = tomllib.loads(after)["services"]["gateway"]["env"]
    assert {f"V{number}": value for number, value in enumerate(values)}.items() <= found.items()
