"""The gateway's modules with one more service, found by their syntax and changed as text."""

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.cli.new.edit_python import add_routes, add_setting, declares, missing_names
from limen.cli.new.plan import CannotEdit

GATEWAY = '''"""The gateway."""

from limen import Gateway, Upstream
from shop_gateway.routes import orders, users

_TAGS = [
    {"name": "orders", "description": "Orders."},
    {"name": "health", "description": "Health."},
]


def create_app(settings):
    app = Gateway(openapi_tags=_TAGS)
    users.declare(app, Upstream("users", settings.users_service_url))
    orders.declare(app, Upstream("orders", settings.orders_service_url, timeouts=timeouts), keys)  # the last
    app.compile()  # closed
    return app
'''
SETTINGS = """class Settings(BaseSettings):
    users_service_url: Addresses
    orders_service_url: Addresses  # two
    timeout: float = 1
"""


def routes(text: str, name: str = "reviews") -> str:
    return add_routes(text, name, package="shop_gateway.routes", title="Reviews.")


def test_the_import_the_tag_and_the_line_are_added() -> None:
    assert routes(GATEWAY) == GATEWAY.replace("import orders, users", "import orders, reviews, users").replace(
        '"Orders."},\n', '"Orders."},\n    {"name": "reviews", "description": "Reviews."},\n'
    ).replace(
        "  # the last\n",
        "  # the last\n"
        '    reviews.declare(app, Upstream("reviews", settings.reviews_service_url, timeouts=timeouts))\n',
    )


def test_an_upstream_that_has_a_name_is_followed_too_and_tags_may_come_last() -> None:
    head, tags, function = re.split(r"(?s)(_TAGS.*?]\n\n\n)", GATEWAY)
    named = function.replace(
        'users.declare(app, Upstream("users", settings.users_service_url))',
        'behind = Upstream("users", settings.users_service_url)\n    users.declare(app, behind)',
    ).replace('Upstream("orders", settings.orders_service_url, timeouts=timeouts)', "behind")
    after = routes(f"{head}{named}\n\n{tags.rstrip()}\n")
    assert '    reviews.declare(app, Upstream("reviews", settings.reviews_service_url))\n    app.compile()' in after
    assert '"Orders."},\n    {"name": "reviews"' in after


def test_the_address_comes_after_those_of_the_others() -> None:
    assert add_setting(SETTINGS, "reviews") == SETTINGS.replace(
        "# two\n", "# two\n    reviews_service_url: Addresses\n"
    )


def test_a_long_line_is_wrapped() -> None:
    many = ", ".join(f"{letter * 12}" for letter in "abcdefgh")
    after = routes(GATEWAY.replace("import orders, users", f"import {many}"))
    assert "from shop_gateway.routes import (\n    aaaaaaaaaaaa,\n" in after
    assert max(map(len, after.splitlines())) <= 120


@given(name=st.from_regex(r"[a-z][a-z0-9]{1,15}", fullmatch=True))
def test_each_name_gets_one_line_of_each_kind(name: str) -> None:
    after = ast.unparse(ast.parse(routes(GATEWAY, f"{name}x")))
    assert (
        after.count(f"{name}x.declare(app, Upstream('{name}x', settings.{name}x_service_url, timeouts=timeouts))") == 1
    )
    assert f"    {name}_service_url: Addresses\n" in add_setting(SETTINGS, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app = (", "it is not Python"),
        ("from shop_gateway.routes import users\n", "it has no line such as"),
        (
            GATEWAY.replace("from shop_gateway.routes import orders, users\n", ""),
            "it has no line from shop_gateway.routes",
        ),
        ("def f():\n    users.declare(app, Upstream('users', ['http://users']))\n", "it has no line such as"),
    ],
)
def test_a_gateway_of_another_form_is_refused_with_the_lines_to_add(text: str, said: str) -> None:
    with pytest.raises(CannotEdit) as refused:
        routes(text)
    assert said in refused.value.reason
    assert "from shop_gateway.routes import reviews" in refused.value.lines
    assert 'reviews.declare(app, Upstream("reviews", settings.reviews_service_url))' in refused.value.lines


def test_settings_without_addresses_are_refused_with_the_line_to_add() -> None:
    with pytest.raises(CannotEdit, match="no class has a field whose name ends with _service_url") as refused:
        add_setting("class Settings:\n    port: int\n", "reviews")
    assert "reviews_service_url: Addresses" in refused.value.lines


def test_the_module_that_declares_is_known_by_its_lines() -> None:
    assert declares(GATEWAY)
    assert not declares(SETTINGS)
    assert not declares("app = (")


def test_what_a_module_lacks_is_told() -> None:
    text = "from a import one\nimport two\nthree = 1\nfour: int = 1\ndef five(): ...\nclass six: ...\n"
    assert missing_names(text, ("one", "two", "three", "four", "five", "six", "seven")) == ["seven"]
    assert missing_names("(", ("one",)) == ["one"]
