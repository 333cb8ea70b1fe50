"""The document that the shop's gateway publishes: it describes every operation, and what fits it is not refused as unfit."""

import json
import re
from collections.abc import Generator, Iterator
from time import time
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from examples import part
from limen.auth import issue
from limen_kit.service_token import ServiceToken
from published import Operation, Published
from shop_processes import AUTH, EVENTS_KEY, SERVICES, Shop

TOKEN = {"authorization": f"Bearer {issue(AUTH, 1, 'admin')}"}

# What services send, and a client acts on.
HEADERS = {
    "location",
    "x-total-count",
    "etag",
    "idempotency-replayed",
    "cache-control",
    "retry-after",
    "www-authenticate",
}

# Texts at the edges of what some field takes; each is tried in every field.
TEXTS = [
    *("", " ", "x", " x ", "two words", "\xa0", "\u3000", "\u2003\u2028", "\ufeff", "\x85", "\t", "\n", "\t\n x"),
    *("a\x00b", "a\x01b", "a\nb", "a\r\nb", "a\tb", "a\n", "a\x7f", "a\x9f", "a\x0b", "a\x1c", "\x1ca"),
    *("a\u200bb", "a\u202eb", "\u0301", "e\u0301", "a\ufe0f", "a\u034f", "\u3164", "\u2800", "\u05d0\u05d1", "\u202b"),
    *("\U0001f469\u200d\U0001f52c", "\U00020bb7", "\U000e0061", "\ue000", "\uffff", "\ufffd", "\ud7ff", "\U0010ffff"),
    # Longer in lower case, or normalized: by two or by three.
    *("\u0130" * 50, "\ufb03" * 50, "\u0390" * 50, "\u0344" * 50, "\ufb2c" * 50, "\U0001d160" * 200, "\xdf" * 200),
    *("x" * length for length in (7, 8, 50, 51, 128, 129, 200, 201, 255, 256, 512, 513, 2000, 2001)),
    *(" " * 200, " " * 199 + "x", "x" + " " * 200, " " * 2000, "\n" * 1999 + "x", "\U0001f600" * 200, "\u754c" * 2000),
    *("a@b", "a@b.c", "a@-", "a@b..c", "@b", "a@", "!#$%&'*+/=?^_`{|}~-.@b", "a..b@c", "\xe9@b", "a@b\n", "a b@c"),
    *("x" * 252 + "@b", "x" * 253 + "@b", "A@" + "b." * 126, "a@" + "b." * 125 + "b"),
    *("%", "_", "\\", "' or 1=1 --", "%00", "[a-", "null", "true", "0", "orders:read", "refresh_x"),
]

LISTS = [[], ["x"], ["orders:read\n"], *(["orders:read"] * count for count in (1, 2, 20, 21))]

NUMBERS = [-1, 0, 1, 2, 100, 101, 365, 366, 2**31 - 1, 2**31, 2**63, 1.0, 1.5]


@pytest.fixture(scope="module")
def own_shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Four real processes that nobody else talks to: what these tests send changes accounts too."""
    with Shop(tmp_path_factory.mktemp("shop"), users="cheap_users:app") as running:
        yield running


@pytest.fixture(scope="module")
def http(own_shop: Shop) -> Generator[httpx2.Client]:
    """A client of its gateway, an admin."""
    with httpx2.Client(base_url=own_shop.url(), headers=TOKEN, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def published(http: httpx2.Client) -> Published:
    """What its gateway publishes."""
    return Published(http.get("/openapi.json").json())


def test_every_operation_is_described(published: Published) -> None:
    tags = {tag["name"] for tag in published.document["tags"] if tag["description"]}
    for operation in published.operations:
        said, name = operation.said, operation.name
        assert said["summary"], name
        assert said["description"].endswith("."), name
        assert set(said["tags"]) <= tags, name
        assert len(said["tags"]) == 1, name
        for parameter in operation.parameters:
            assert parameter["description"].endswith("."), (name, parameter["name"])
            assert parameter["schema"]["examples"], (name, parameter["name"])
        for schema in (*filter(None, [operation.body]), *operation.answers):
            assert published.examples(schema), (name, schema)
        for status, response in said["responses"].items():
            assert published.follow(response)["description"] not in ("", "Successful Response"), (name, status)
    identifiers = [operation.said["operationId"] for operation in published.operations]
    assert len(set(identifiers)) == len(identifiers) >= 25


def test_every_example_fits_its_schema(published: Published) -> None:
    for operation in published.operations:
        bodies = [operation.body] if operation.body else []
        for schema in (*bodies, *operation.answers, *(parameter["schema"] for parameter in operation.parameters)):
            for example in published.examples(schema):
                value = [example] if schema.get("type") == "array" else example
                assert published.fits(schema, value), (operation.name, example)
        for response in map(published.follow, operation.said["responses"].values()):
            for header in map(published.follow, response.get("headers", {}).values()):
                if "example" in header:
                    assert published.fits(header["schema"], header["example"]), (operation.name, header)


def test_the_examples_are_true(published: Published, http: httpx2.Client) -> None:
    john = {"authorization": f"Bearer {issue(AUTH, 2, 'default')}"}
    sent = {operation.said["operationId"]: operation for operation in published.operations}

    def send(name: str, status: int, headers: dict[str, str] = TOKEN, **path: object) -> Any:
        operation = sent.pop(name)
        content = None if operation.body is None else json.dumps(published.examples(operation.body)[0])
        answer = http.request(
            operation.method,
            operation.path.format(**path),
            content=content,
            headers=headers | _media_type(operation),
        )
        assert answer.status_code == status, (name, answer.text)
        _check_headers(published, operation, answer)
        if status >= 300 or status == 204:
            return None
        (schema,) = operation.answers
        assert published.fits(schema, answer.json()), (name, answer.text)
        return answer.json()

    def same(name: str, status: int, headers: dict[str, str] = TOKEN, **path: object) -> None:
        """Send the example, and compare what comes with its own: only times, secrets and numbers of accounts differ."""
        (schema,) = sent[name].answers
        found = send(name, status, headers, **path)
        (example,) = published.examples(schema)
        rows: list[Any] = found if schema.get("type") == "array" else [found]
        for row in rows:  # an example may leave out what is null
            assert {key for key, value in row.items() if value is not None} <= set(example) <= set(row), name
        for key, value in example.items():
            if not key.endswith(("_at", "token", "key", "_agent")) and key not in ("id", "address", "current"):
                assert rows[0][key] == value, (name, key)

    same("healthz", 200)
    same("login", 201)
    same("list_sessions", 200, john)
    same("create_key", 201, john)
    same("list_keys", 200, john)
    same("create_order", 201, john)
    same("list_orders", 200, john)
    same("get_order", 200, john, order_id=1)
    same("create_user", 201)
    same("get_user", 200, user_id=4)
    send("cancel_order", 200, john, order_id=1)
    for service in SERVICES:
        if service not in ("users", "orders"):  # suppliers, and those that `limen new service` has made
            item = next(n for n in sent if n.startswith("create_") and sent[n].said["tags"] == [service])[7:]
            row = {f"{item}_id": 1}
            same(f"create_{item}", 201, john)
            same(f"list_{service}", 200)
            same(f"get_{item}", 200, john, **row)
            send(f"update_{item}", 200, john, **row)
            send(f"delete_{item}", 204, john, **row)
    send("update_user", 200, user_id=4)
    send("list_users", 200)
    send("get_own_user", 200, john)
    send("list_user_keys", 200, user_id=2)
    send("revoke_user_key", 404, user_id=4, key_id=1)
    send("revoke_user_keys", 200, user_id=4)
    send("lock_user", 204, user_id=4)
    send("unlock_user", 204, user_id=4)
    send("delete_user", 204, user_id=4)
    send("receive_event", 204, _service())
    send("change_password", 204, john, user_id=2)
    send("revoke_key", 204, john, key_id=1)
    # Nobody has these tokens: they fit, and are refused as what they are.
    send("refresh", 401)
    send("logout", 401)
    send("end_session", 404, john, session_id="3eW0yKXpTqWc2h9cVtU4Zg")
    send("logout_all", 200, john)
    assert not sent


def test_what_fits_the_document_is_never_refused_as_unfit(own_shop: Shop) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{own_shop.url()}/openapi.json")
    for result in schema.get_all_operations():
        _send_what_fits(result.ok(), own_shop.url())


def _send_what_fits(operation: Any, url: str) -> None:
    @settings(
        max_examples=part(16),
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def check(case: Any) -> None:
        answer = case.call(base_url=url, headers=_caller(case.operation.path), timeout=20)
        assert not _unfit(answer), answer.text
        assert answer.status_code < 500, answer.text

    check()


def test_the_document_says_exactly_which_values_are_taken(published: Published, http: httpx2.Client) -> None:
    tried = 0
    for operation in published.operations:
        for where, fits, answer in (*_bodies(published, operation, http), *_queries(published, operation, http)):
            tried += fits
            assert not _unfit(answer) if fits else _unfit(answer), (
                (operation.name, where),
                answer.text,
            )
            assert answer.status_code < 500, (operation.name, where, answer.text)
            _check_headers(published, operation, answer)
    assert tried > 600


def test_a_username_has_the_characters_that_the_service_takes(published: Published, own_shop: Shop) -> None:
    service = Published(httpx2.get(f"{own_shop.url('users')}/openapi.json", trust_env=False).json())
    patterns = [
        one.document["components"]["schemas"]["UserForm"]["properties"]["username"]["pattern"]
        for one in (published, service)
    ]
    assert patterns[0] == patterns[1]


def _bodies(
    published: Published, operation: Operation, http: httpx2.Client
) -> Iterator[tuple[object, bool, httpx2.Response]]:
    """Put each value into each member of the example of the body."""
    if operation.body is None:
        return
    (example,) = published.examples(operation.body)
    path = re.sub(r"\{\w+_id\}", "1", operation.path.replace("{user_id}", "3"))
    for name in published.resolve(operation.body)["properties"]:
        for value in (*TEXTS, *NUMBERS, *LISTS, None):
            body = {**example, name: value}
            # Escaped, as any client may write it.
            headers = _caller(path) | _media_type(operation)
            answer = http.request(operation.method, path, content=json.dumps(body), headers=headers)
            yield (name, value), published.fits(operation.body, body), answer


def _queries(
    published: Published, operation: Operation, http: httpx2.Client
) -> Iterator[tuple[object, bool, httpx2.Response]]:
    """Put each text into the search, and each number into what has numbers."""
    for parameter in operation.parameters:
        name, schema = parameter["name"], parameter["schema"]
        # Not those that are true or false: FastAPI reads several words for both, which a schema cannot say.
        if parameter["in"] == "query" and schema.get("type") != "boolean":
            for value in TEXTS if "anyOf" in schema else NUMBERS:
                answer = http.get(f"{operation.path}?{name}={quote(str(value))}")
                yield (name, value), published.fits(schema, value), answer


def _media_type(operation: Operation) -> dict[str, str]:
    return {} if operation.media_type is None else {"content-type": operation.media_type}


def _caller(path: str) -> dict[str, str]:
    """Return the token of whoever may call ``path``."""
    return _service() if path == "/events" else TOKEN


def _service() -> dict[str, str]:
    return {"authorization": f"Bearer {ServiceToken('users', EVENTS_KEY, audience='events').at(time())}"}


def _unfit(answer: Any) -> bool:
    """Tell whether it is refused as unfit. What does not fit may also make a request line that is too long.

    A supplier that does not exist is another matter: no document knows which ones there are.
    """
    return answer.status_code == 414 or (answer.status_code == 422 and answer.json()["code"] != "supplier_unknown")


def _check_headers(published: Published, operation: Operation, answer: httpx2.Response) -> None:
    """Whatever a client acts on is documented."""
    said = published.follow(operation.said["responses"][str(answer.status_code)])
    documented = {name.lower() for name in said.get("headers", {})}
    assert HEADERS & set(answer.headers) <= documented, (operation.name, answer.status_code, answer.headers)
