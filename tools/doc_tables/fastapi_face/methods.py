"""The public methods of ``FastAPI``, with what they take, and two of its attributes."""

from typing import Final

from doc_tables.fastapi_face.routes import INCLUDE, OPERATIONS
from doc_tables.fastapi_face.row import FACE, LOCAL, Row

_OPTIONS: Final = tuple(row.parameter for row in OPERATIONS)
_ROUTE: Final = ("methods", *(name for name in _OPTIONS if name != "callbacks"))

_STUBS: Final = f"{FACE}::test_a_decorator_for_each_method_declares_stubs"
_NO_STUBS: Final = f"{FACE}::test_a_method_for_local_endpoints_takes_no_upstream"
_NEVER: Final = "tests/unit/app/test_collect.py::test_what_can_never_be_reached_is_refused"
_HANDLERS: Final = (
    "tests/unit/app/test_exception_handlers.py::test_the_users_handlers_answer_what_they_would_in_fastapi"
)
_PAGES: Final = "tests/unit/app/test_gateway.py::test_the_public_document_is_valid_and_complete"
_ENGINE: Final = "tests/unit/app/test_gateway.py::test_routes_are_described_in_the_order_of_declaration"

ROWS: Final = (
    Row("get", "works", "with `upstream=`; HEAD comes with it", test=_STUBS, takes=_OPTIONS),
    Row("post", "works", "with `upstream=`", test=_STUBS, takes=_OPTIONS),
    Row("put", "works", "with `upstream=`", test=_STUBS, takes=_OPTIONS),
    Row("patch", "works", "with `upstream=`", test=_STUBS, takes=_OPTIONS),
    Row("delete", "works", "with `upstream=`", test=_STUBS, takes=_OPTIONS),
    Row("head", "works", "with `upstream=`, where HEAD is another than that of GET", test=_STUBS, takes=_OPTIONS),
    Row("options", "works", "with `upstream=`; else the gateway answers with `Allow`", test=_STUBS, takes=_OPTIONS),
    Row("trace", "refused", "TRACE is never served", "another method", test=_NEVER, takes=_OPTIONS),
    Row("api_route", "works", "with `upstream=`", test=_STUBS, takes=_ROUTE),
    Row(
        *("add_api_route", "works, local endpoints", "`upstream=` is a TypeError", "`app.get(path, ...)(stub)`"),
        test=_NO_STUBS,
        takes=("endpoint", *_ROUTE),
    ),
    Row(
        "add_route",
        "works, local endpoints",
        test=LOCAL,
        takes=("path", "route", "methods", "name", "include_in_schema"),
    ),
    Row(
        *(
            "websocket",
            "works, local endpoints",
            "with `allow=` and `auth=`, as other endpoints of the gateway's own",
        ),
        test=LOCAL,
        takes=("path", "name", "dependencies"),
    ),
    Row(
        "add_api_websocket_route",
        "works, local endpoints",
        test=LOCAL,
        takes=("path", "endpoint", "name", "dependencies"),
    ),
    Row("websocket_route", "works, local endpoints", test=LOCAL, takes=("path", "name")),
    Row("mount", "works, local endpoints", test=LOCAL, takes=("path", "app", "name")),
    Row(
        *("host", "refused", "routes are the same for every host", "`mount`, or an application beside the gateway"),
        test="tests/unit/app/test_collect.py::test_hosts_are_refused",
        takes=("host", "app", "name"),
    ),
    Row("frontend", "works, local endpoints", test=LOCAL, takes=("path", "directory", "fallback", "check_dir")),
    Row(
        "include_router",
        "works",
        "see below",
        test=LOCAL,
        takes=tuple(row.parameter for row in INCLUDE),
    ),
    Row("middleware", "works, asgi engine", "it wraps stubs too", test=_ENGINE, takes=("middleware_type",)),
    Row(
        "add_middleware",
        "works, asgi engine",
        "it wraps stubs too",
        test=_ENGINE,
        takes=("middleware_class", "args", "kwargs"),
    ),
    Row(
        "exception_handler",
        "works, local endpoints",
        "as `exception_handlers=`",
        test=_HANDLERS,
        takes=("exc_class_or_status_code",),
    ),
    Row(
        "add_exception_handler",
        "works, local endpoints",
        "as `exception_handlers=`",
        test=_HANDLERS,
        takes=("exc_class_or_status_code", "handler"),
    ),
    Row(
        "on_event",
        "works",
        "as `on_startup=` and `on_shutdown=`",
        test="tests/unit/app/test_lifespan.py::test_handlers_run_as_in_fastapi",
        takes=("event_type",),
    ),
    Row(
        "url_path_for",
        "works",
        "by the name of the function, or `name=`",
        test=f"{FACE}::test_a_stub_has_a_url_by_its_name",
        takes=("name", "path_params"),
    ),
    Row("openapi", "document only", "stubs, with what the gateway may refuse", test=_PAGES),
    Row("setup", "document only", "FastAPI calls it", test=_PAGES),
    Row("build_middleware_stack", "works", "the server's first request calls it", test=_HANDLERS),
    Row("dependency_overrides", "works, local endpoints", test=LOCAL),
    Row("state", "works, local endpoints", "an `after` hook has no request to find it by", test=LOCAL),
)

# Of these rows there is no method to look up.
ATTRIBUTES: Final = frozenset(("dependency_overrides", "state"))
