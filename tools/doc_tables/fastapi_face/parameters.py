"""What the signature of a stub may have: the parameter functions, and the classes that FastAPI recognizes."""

from typing import Final

from doc_tables.fastapi_face.row import CHECKED, REFUSED, Row

FUNCTIONS: Final = (
    Row("default", "works", "the parameter may be missing; the service gets what the client sent", test=CHECKED),
    Row("default_factory", "works", "as `default`", test=CHECKED),
    Row("alias", "works", "refused for a path parameter: its name is in the path", test=CHECKED),
    Row("alias_priority", "works", "of no effect in FastAPI either", test=CHECKED),
    Row("validation_alias", "works", test=CHECKED),
    Row("serialization_alias", "works", "of no effect on what is read, in FastAPI either", test=CHECKED),
    Row(
        "convert_underscores",
        "refused",
        "of `Header()`: with False and a name that has `_`, since headers with `_` reach no service",
        "a name with `-`, as `alias=`",
        test=REFUSED,
    ),
    Row(
        *("embed", "works", "of `Body()`"),
        test="tests/unit/app/test_signature_options.py::test_several_bodies_are_members_of_one_object",
    ),
    Row("media_type", "works", "of `Body()`: a text or JSON; `Form()` and `File()` have theirs", test=CHECKED),
    Row("title", "document only", test=CHECKED),
    Row("description", "document only", test=CHECKED),
    Row("gt", "works", test=CHECKED),
    Row("ge", "works", test=CHECKED),
    Row("lt", "works", test=CHECKED),
    Row("le", "works", test=CHECKED),
    Row("min_length", "works", test=CHECKED),
    Row("max_length", "works", test=CHECKED),
    Row("pattern", "works", test=CHECKED),
    Row("regex", "works", "FastAPI's older name of `pattern`", test=CHECKED),
    Row("discriminator", "works", "of a union of models in a body", test=CHECKED),
    Row("strict", "works", test=CHECKED),
    Row("validate_default", "works", "a default that does not fit is 422 where nothing is sent", test=CHECKED),
    Row("union_mode", "works", test=CHECKED),
    Row("fail_fast", "works", test=CHECKED),
    Row("multiple_of", "works", test=CHECKED),
    Row("allow_inf_nan", "works", test=CHECKED),
    Row("max_digits", "works", test=CHECKED),
    Row("decimal_places", "works", test=CHECKED),
    Row("examples", "document only", test=CHECKED),
    Row("example", "document only", "FastAPI's older name of `examples`", test=CHECKED),
    Row("openapi_examples", "document only", test=CHECKED),
    Row("deprecated", "document only", test=CHECKED),
    Row("include_in_schema", "document only", test=CHECKED),
    Row("json_schema_extra", "document only", test=CHECKED),
)

_AS_FASTAPI: Final = "tests/engine/test_dependencies.py::test_each_option_of_a_dependency_is_as_in_fastapi"

DEPENDENCIES: Final = (
    Row(
        *(
            "dependency",
            "works, asgi engine",
            "it runs before the request is sent; a stub's function gets nothing of it",
        ),
        test="tests/engine/test_dependencies.py::test_they_run_before_the_service_is_asked_and_close_behind_the_answer",
    ),
    Row("use_cache", "works, asgi engine", test=_AS_FASTAPI),
    Row("scope", "works, asgi engine", "of `Depends()`", test=_AS_FASTAPI),
    Row("max_concurrency", "works, asgi engine", "of `Depends()`", test=_AS_FASTAPI),
    Row(
        "scopes",
        "works, asgi engine",
        "of `Security()`; for the scopes of a token, `allow=scope(...)`",
        test=_AS_FASTAPI,
    ),
)

CLASSES: Final = (
    Row(
        "request",
        "refused",
        "a stub is never run",
        "`Header()`, `Query()`, `Cookie()`: what of it counts",
        test=REFUSED,
    ),
    Row("websocket", "refused", "a stub is never run", "a local endpoint", test=REFUSED),
    Row("http_connection", "refused", "a stub is never run", "as for `Request`", test=REFUSED),
    Row("response", "refused", "a stub is never run", "`after=`, which may take a `Response`", test=REFUSED),
    Row("background_tasks", "refused", "a stub is never run", "a local endpoint, or the service", test=REFUSED),
    Row("security_scopes", "refused", "a stub is never run", "`allow=scope(...)`", test=REFUSED),
)
