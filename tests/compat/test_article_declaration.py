"""Mistakes in a declaration in the form of the article: all are told before the first request, each with how to mend it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Request, Response
from pydantic import BaseModel

from article_gateway import Project
from limen import DeclarationError, Gateway
from limen.auth import Jwt
from limen.compat import route
from tokens import SECRET

if TYPE_CHECKING:
    from decimal import Decimal


class Item(BaseModel):
    """A body."""

    id: int


class Unhashable:
    """A generator that is an object."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __call__(self, payload: dict[str, Any]) -> dict[str, str]:
        return {"request-user-id": str(payload["id"])}


async def asynchronous(value: object) -> bool:
    return True


def of_nothing() -> bool:
    return True


def raising(payload: dict[str, Any]) -> dict[str, str]:
    return {"request-tenant": str(int(payload["tenant"]["id"]))}


def of_two(one: object, two: object) -> object:
    return one


def making(headers: Any) -> Any:
    """Return a generator of ``headers``."""

    def generate(payload: dict[str, Any]) -> Any:
        return headers

    return generate


def problems(**parameters: Any) -> tuple[str, ...]:
    """Return what is wrong with POST /shop/items/{item_id} with these parameters; nothing if all is well."""
    app = Gateway(auth=Jwt(SECRET))
    defaults: dict[str, Any] = {
        "request_method": app.group("/shop").post,
        "path": "/items/{item_id}",
        "status_code": 200,
        "payload_key": "item",
        "service_url": "http://items:8000",
    }

    @route(**(defaults | parameters))
    async def create_item(item_id: int, item: Item, request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    del create_item
    try:
        app.compile()
    except DeclarationError as error:
        return error.problems
    return ()


PROTECTED = {"authentication_required": True}
NAMED = ("authentication_token_decoder", "service_authorization_checker", "service_header_generator")

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no setting": (
        {"service_url": None},
        "service_url=None is no address, such as 'http://users:8000'; is the setting",
    ),
    "an empty setting": ({"service_url": ""}, "service_url='' is no address"),
    "no scheme": ({"service_url": "items:8000"}, "target 'items:8000' must begin with http://"),
    "a query": ({"service_url": "http://items?x=1"}, "must be scheme, host and port only"),
    "dots": ({"service_url": "http://items/a/../b"}, "The path is ambiguous. It holds a dot segment."),
    "a body by another name": ({"payload_key": "itme"}, "has no argument of this name; did you mean 'item'?"),
    "no such argument": ({"payload_key": "zzz"}, "has no argument of this name; it has item_id, item"),
    "no body": (
        {"payload_key": "item_id"},
        "payload_key='item_id' is no body: FastAPI reads this argument from the path",
    ),
    "a body without a name": (
        {"payload_key": None},
        "'item' is a body, and payload_key=None does not name it; say payload_",
    ),
    "a status of nothing": ({"status_code": 99}, "status_code=99 is no status of an answer"),
    "a text for a status": ({"status_code": "200"}, "status_code='200' is no status"),
    "neither": ({"authentication_required": "yes"}, "authentication_required='yes' is neither True nor False"),
    "a checker of nobody": (
        {"service_authorization_checker": "auth.is_admin_user"},
        "service_authorization_checker=auth.is_admin_user has no effect while anyone may call; say authentication_required=",
    ),
    "a decoder of nobody": ({"authentication_token_decoder": len}, "authentication_token_decoder=len has no effect"),
    "no decoder": (
        PROTECTED | {"authentication_token_decoder": None},
        "authentication_token_decoder=None decodes nothing; name a function, or leave it out",
    ),
    "a list of nothing": ({"response_list": True}, "response_list=True is a list of nothing; give response_model="),
    "a function for a model": (
        {"response_model": len},
        "response_model=len is builtin_function_or_method, and no type",
    ),
    "a value for a model": ({"response_model": "auth.NOT_A_FUNCTION"}, "auth.NOT_A_FUNCTION is int, and no type"),
    "no model": ({"response_model": "datastructures.users.User"}, "has no 'User'; did you mean 'UserForm'?"),
    "no module of models": ({"response_model": "datastructure.users.User"}, "there is no module 'datastructure'"),
    "no submodule": ({"response_model": "datastructures.user.X"}, "datastructures has no 'user'"),
    "a bare name": (
        {"response_model": "UserResponse"},
        "response_model='UserResponse' is no dotted name; write module.",
    ),
    "a post-processor that is none": ({"post_processing_func": "auth.NOT_A_FUNCTION"}, "is int, and no function"),
    "a typo in a post-processor": (
        {"post_processing_func": "post_processing.acces_token_generate_handler"},
        "did you mean 'access_token_generate_handler'?",
    ),
    "a post-processor of two": (
        {"post_processing_func": of_two},
        "must take one argument, the service's decoded answer",
    ),
    "a generator that cannot be tried": (
        PROTECTED | {"service_header_generator": raising},
        "raising raised TypeError for a made-up payload, in which every claim is a text: which headers it makes has to",
    ),
    "a generator of a number": (
        PROTECTED | {"service_header_generator": making({"request-user-id": 7})},
        "the header 'request-user-id' is int, and has to be text; use str()",
    ),
    "a generator of nothing": (
        PROTECTED | {"service_header_generator": making(None)},
        "raised TypeError for a",
    ),
    "a generator of the wrong header": (
        PROTECTED | {"service_header_generator": making({"Host": "x"})},
        "makes the header 'host', which is that of the service",
    ),
    "a generator of no header": (
        PROTECTED | {"service_header_generator": making({"a b": "x"})},
        "'a b' is no name of a header",
    ),
}
for _name in NAMED:
    CASES.update(
        {
            f"{_name}: a typo": (
                PROTECTED | {_name: "auth.is_amin_user"},
                f"{_name}='auth.is_amin_user': auth has no ",
            ),
            f"{_name}: no module": (
                PROTECTED | {_name: "auht.x"},
                f"{_name}='auht.x': there is no module 'auht'; correct",
            ),
            f"{_name}: no dot": (PROTECTED | {_name: "is_admin_user"}, f"{_name}='is_admin_user' is no dotted name"),
            f"{_name}: no function": (
                PROTECTED | {_name: "auth.NOT_A_FUNCTION"},
                f"{_name}=auth.NOT_A_FUNCTION is int",
            ),
            f"{_name}: async": (
                PROTECTED | {_name: asynchronous},
                f"{_name}=asynchronous is async, and nothing waits for it",
            ),
            f"{_name}: of nothing": (
                PROTECTED | {_name: of_nothing},
                f"{_name}=of_nothing must take one argument, the ",
            ),
            f"{_name}: a number": (PROTECTED | {_name: 7}, f"{_name}=int is int, and no function"),
        }
    )


def test_all_is_well() -> None:
    assert problems() == ()
    assert problems(**PROTECTED, service_header_generator=Unhashable()) == ()


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_its_route_and_how_to_mend_it(project: Project, case: str) -> None:
    parameters, message = CASES[case]
    (problem,) = problems(**parameters)
    assert problem.startswith("POST /shop/items/{item_id}: ")
    assert message in problem


def test_all_mistakes_of_all_routes_are_told_together(project: Project) -> None:
    app = Gateway(auth=Jwt(SECRET))
    for path in ("/a", "/b"):

        @route(
            app.get,
            path,
            status_code=200,
            payload_key="none",
            service_url="nowhere",
            authentication_required=True,
            authentication_token_decoder="auth.decode",
            service_authorization_checker="auth.check",
            service_header_generator="auth.generate",
            response_model="auth.Model",
            post_processing_func="auth.process",
        )
        async def handler(request: Request, response: Response):
            raise AssertionError("the body of a handler is never run")

        del handler
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    assert len(caught.value.problems) == 14
    assert [line.partition(":")[0] for line in caught.value.problems] == ["GET /a"] * 7 + ["GET /b"] * 7


def test_no_address_is_repeated_that_holds_a_password() -> None:
    (problem,) = problems(service_url=f"http://user:{'hunter2'}@items:8000/x")
    assert "must not hold a user name or a password" in problem
    assert "hunter2" not in problem


def test_an_annotation_that_is_not_known_is_told() -> None:
    app = Gateway()

    @route(app.get, "/a", status_code=200, payload_key=None, service_url="http://a")
    async def handler(amount: "Decimal", request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    del handler
    with pytest.raises(DeclarationError, match="name 'Decimal' is not defined; import it where the program runs"):
        app.compile()


def test_dependencies_of_a_handler_run_as_on_any_stub() -> None:
    from fastapi import Depends

    app = Gateway()

    @route(app.get, "/a", status_code=200, payload_key=None, service_url="http://a")
    async def handler(request: Request, response: Response, found: int = Depends(lambda: 1)):
        raise AssertionError("the body of a handler is never run")

    del handler
    (described,) = app.describe()
    assert described.engine == "asgi"
    assert described.reason.startswith("dependencies run before it")


def test_what_a_module_raises_is_raised_with_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("import no_such_module_anywhere\n")
    (tmp_path / "circle_module.py").write_text(
        "from limen.compat.names import resolve\nresolve('decoder', 'circle_module.later')\nlater = 1\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        problems(post_processing_func="broken_module.x")
    (problem,) = problems(post_processing_func="circle_module.x")
    assert "circle_module is still being imported, because it imports this module in turn" in problem
