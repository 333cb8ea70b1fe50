"""The public endpoints of the article: section 3 of the checklist, and what the users service is sent."""

from typing import Any

import pytest

from article_gateway import Article
from limen.auth import Jwt, issue

USER = {"username": "ada", "password": "x", "user_type": "default"}
ORDER = {"address": "1 Main St", "item": "lamp"}
SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "London"}


async def test_a_login_gives_a_token_and_nothing_of_the_record(article: Article) -> None:
    found = await article.client.post("/api/login", json={"username": "johndoe", "password": "b"})
    assert found.status_code == 201
    assert set(found.json()) == {"access_token", "token_type"}
    mine = {"authorization": f"Bearer {found.json()['access_token']}"}
    assert (await article.client.get("/api/orders", headers=mine)).json() == []
    assert article.seen[-1].all("request-user-id") == ["2"]


@pytest.mark.parametrize(
    ("form", "status", "detail"),
    [
        ({"username": "nobody", "password": "b"}, 404, "User not found with this username."),
        ({"username": "johndoe", "password": "wrong"}, 401, "Password is wrong."),
    ],
)
async def test_the_errors_of_a_login_pass(article: Article, form: dict[str, str], status: int, detail: str) -> None:
    found = await article.client.post("/api/login", json=form)
    assert (found.status_code, found.json()) == (status, {"detail": detail})


async def test_users_are_managed_by_admins(article: Article) -> None:
    client, admin = article.client, article.bearer()
    created = await client.post("/api/users", json=USER, headers=admin)
    assert created.status_code == 201
    made = {"id": 4, "username": "ada", "email": None, "full_name": None, "user_type": "default", "created_by": 1}
    assert created.json() == made
    listed = await client.get("/api/users", headers=admin)
    assert listed.status_code == 200
    assert [user["id"] for user in listed.json()] == [1, 2, 3, 4]
    assert (await client.get("/api/users/4", headers=admin)).json() == made
    deleted = await client.delete("/api/users/4", headers=admin)
    assert (deleted.status_code, deleted.content) == (204, b"")


async def test_no_hash_of_a_password_leaves_the_gateway(article: Article) -> None:
    client, admin = article.client, article.bearer()
    answers = [
        await client.post("/api/login", json={"username": "admin", "password": "a"}),
        await client.post("/api/users", json=USER, headers=admin),
        await client.get("/api/users", headers=admin),
        await client.get("/api/users/1", headers=admin),
        await client.put("/api/users/1", json={"full_name": "A"}, headers=admin),
    ]
    assert all(answer.is_success and "hashed_password" not in answer.text for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("POST", "/api/users", USER | {"username": "admin"}, 409, "There is already another user with this username."),
        (
            "POST",
            "/api/users",
            USER | {"email": "admin@example.com"},
            409,
            "There is already another user with this email.",
        ),
        ("GET", "/api/users/99", None, 404, "User not found with this id."),
        ("DELETE", "/api/users/1", None, 403, "You are not allowed to delete protected users."),
        ("DELETE", "/api/users/2", None, 403, "You are not allowed to delete protected users."),
        ("DELETE", "/api/users/99", None, 404, "User not found with this id."),
        ("PUT", "/api/users/99", {"full_name": "x"}, 404, "User not found with this id."),
    ],
)
async def test_errors_of_a_service_pass_with_a_model_and_without(
    own: Article, method: str, path: str, body: object, status: int, detail: str
) -> None:
    found = await own.client.request(method, path, json=body, headers=own.bearer())
    assert (found.status_code, found.json()) == (status, {"detail": detail})


async def test_what_the_client_leaves_out_is_not_sent(own: Article) -> None:
    changed = await own.client.put("/api/users/2", json={"full_name": "John"}, headers=own.bearer())
    assert changed.status_code == 200
    assert (changed.json()["full_name"], changed.json()["email"]) == ("John", "johndoe@example.com")
    assert own.seen[-1].body == b'{"full_name":"John"}'


async def test_orders_are_the_callers_own(article: Article) -> None:
    client, two, three = article.client, article.bearer(2, "default"), article.bearer(3, "default")
    placed = await client.post("/api/orders", json=ORDER, headers=two)
    assert placed.status_code == 200
    assert placed.json() | ORDER | {"id": 1, "created_by": 2} == placed.json()
    assert (await client.get("/api/orders", headers=two)).json() == [placed.json()]
    assert (await client.get("/api/orders", headers=three)).json() == []
    assert (await client.get("/api/orders", headers=article.bearer())).json() == []


async def test_suppliers_are_everybodys_and_keep_who_made_them(article: Article) -> None:
    client = article.client
    made = await client.post("/api/suppliers", json=SUPPLIER, headers=article.bearer(2, "default"))
    assert made.status_code == 200
    assert made.json() | SUPPLIER | {"created_by": 2} == made.json()
    assert isinstance(made.json()["created_at"], str)
    listed = await client.get("/api/suppliers")
    assert (listed.status_code, listed.json()) == (200, [made.json()])


PROTECTED: list[tuple[str, str, Any]] = [
    ("POST", "/api/users", USER),
    ("GET", "/api/users", None),
    ("GET", "/api/users/1", None),
    ("DELETE", "/api/users/3", None),
    ("PUT", "/api/users/3", {}),
]
FOR_USERS: list[tuple[str, str, Any]] = [
    ("GET", "/api/orders", None),
    ("POST", "/api/orders", ORDER),
    ("POST", "/api/suppliers", SUPPLIER),
]


async def test_who_may_call_what(article: Article) -> None:
    client = article.client
    for method, path, body in PROTECTED + FOR_USERS:
        refused = await client.request(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (401, "token_missing"), (method, path)
        # Any other type passes neither checker.
        guest = await client.request(method, path, json=body, headers=article.bearer(3, "guest"))
        assert (guest.status_code, guest.json()["detail"]) == (403, "You are not allowed to access this scope.")
        assert guest.headers["www-authenticate"].startswith("Bearer")
    for method, path, body in PROTECTED:
        user = await client.request(method, path, json=body, headers=article.bearer(2, "default"))
        assert user.status_code == 403, (method, path)
    assert not article.seen
    for method, path, body in FOR_USERS:
        for kind in ("default", "admin"):
            found = await client.request(method, path, json=body, headers=article.bearer(2, kind))
            assert found.status_code == 200, (method, path, kind)


async def test_a_wrong_method_and_a_final_slash(own: Article) -> None:
    wrong = await own.client.patch("/api/suppliers")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    slash = await own.client.get("/api/suppliers/")
    assert (slash.status_code, slash.headers["location"]) == (307, "/api/suppliers")


async def test_the_documents(own: Article) -> None:
    document = (await own.client.get("/openapi.json")).json()
    operations = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert operations >= {(method, path) for method, path, _ in PROTECTED + FOR_USERS if not path[-1].isdigit()}
    assert ("GET", "/api/users/{user_id}") in operations
    one = document["paths"]["/api/users/{user_id}"]["get"]
    assert one["operationId"] == "get_user"
    assert one["description"].startswith("Get one user.")
    assert [parameter["name"] for parameter in one["parameters"]] == ["user_id"]
    assert one["security"] == [{"bearer": []}]
    assert one["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/UserResponse"
    }
    assert "401" in one["responses"]
    login = document["paths"]["/api/login"]["post"]
    assert set(login["responses"]) >= {"201", "422"}
    assert "security" not in login
    assert {"UsernamePasswordForm", "LoginResponse", "OrderResponse", "SupplierResponse"} <= set(
        document["components"]["schemas"]
    )
    for page in ("/docs", "/redoc"):
        assert (await own.client.get(page)).status_code == 200


async def test_a_token_of_the_gateways_own_is_as_good(own: Article) -> None:
    """Both sides have one secret here: a project may leave its decoder route by route, and keep its tokens."""
    token = issue(Jwt(own.auth.SECRET), 2, "default")
    found = await own.client.get("/api/orders", headers={"authorization": f"Bearer {token}"})
    assert found.status_code == 200
