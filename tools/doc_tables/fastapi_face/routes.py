"""The options of path operations, and of routers."""

from typing import Final

from doc_tables.fastapi_face.row import DOCUMENTED, FACE, LOCAL, Row

ANSWERS: Final = "tests/unit/app/test_gateway_answers.py"
MODEL_OPTIONS: Final = f"{ANSWERS}::test_the_options_of_fastapi_are_kept"

OPERATIONS: Final = (
    Row(
        "path",
        "works",
        "parameters and converters as in FastAPI; the path that the service gets is that of the client, or `rewrite=`",
        test="tests/unit/app/test_gateway_contract.py"
        "::test_every_kind_of_parameter_is_part_of_the_contract_and_a_form_with_files_is_none",
    ),
    Row("response_model", "works", "it checks the service's answer, and filters it", test=MODEL_OPTIONS),
    Row(
        "status_code",
        "works",
        "the status whose answers are checked and given to `after`; others pass",
        test=f"{FACE}::test_the_status_of_a_stub_is_the_one_that_is_checked",
    ),
    Row("tags", "document only", test=DOCUMENTED),
    Row(
        *("dependencies", "works, asgi engine", "they run before the request is sent to the service"),
        test="tests/engine/test_dependencies.py::test_one_that_refuses_answers_and_no_service_is_asked",
    ),
    Row("summary", "document only", test=DOCUMENTED),
    Row("description", "document only", test=DOCUMENTED),
    Row("response_description", "document only", test=DOCUMENTED),
    Row(
        "responses",
        "works",
        "documented; models of success statuses check the service's answers",
        test=f"{ANSWERS}::test_other_success_statuses_are_as_responses_says",
    ),
    Row("deprecated", "document only", test=DOCUMENTED),
    Row("operation_id", "document only", test=DOCUMENTED),
    Row("response_model_include", "works", "of the checked answer", test=MODEL_OPTIONS),
    Row("response_model_exclude", "works", "of the checked answer", test=MODEL_OPTIONS),
    Row("response_model_by_alias", "works", "of the checked answer", test=MODEL_OPTIONS),
    Row("response_model_exclude_unset", "works", "of the checked answer", test=MODEL_OPTIONS),
    Row("response_model_exclude_defaults", "works", "of the checked answer", test=MODEL_OPTIONS),
    Row("response_model_exclude_none", "works", "of the checked answer", test=MODEL_OPTIONS),
    Row("include_in_schema", "document only", test=DOCUMENTED),
    Row(
        "response_class",
        "works",
        "it documents the media type, and the service's answer passes; one that makes no JSON is refused where the answer "
        "has a model",
        test=f"{ANSWERS}::test_a_class_that_is_not_json_has_nothing_to_check",
    ),
    Row(
        "name",
        "works",
        "for `url_path_for`, and for the operation id",
        test=f"{FACE}::test_a_stub_has_a_url_by_its_name",
    ),
    Row("callbacks", "document only", test=DOCUMENTED),
    Row("openapi_extra", "document only", test=DOCUMENTED),
    Row("generate_unique_id_function", "document only", test=DOCUMENTED),
    Row(
        "max_body_size",
        "works",
        "the same as `max_body=`, in bytes",
        test=f"{ANSWERS}::test_how_large_a_body_may_be_is_said_by_the_route_or_by_the_application",
    ),
    Row(
        *("form_limits", "works", "of an urlencoded form: 1,000 fields at most"),
        test="tests/unit/app/test_signature_options.py::test_the_limits_of_a_form_hold",
    ),
)

ROUTER: Final = (
    Row("prefix", "works", "before the path of a stub of a `limen.Router`", test=LOCAL),
    Row("tags", "document only", test=LOCAL),
    Row("dependencies", "works, asgi engine", "they run before the request is sent to the service", test=LOCAL),
    Row("default_response_class", "works", "as that of the application", test=LOCAL),
    Row("responses", "works", "as those of the application", test=LOCAL),
    Row("callbacks", "document only", test=LOCAL),
    Row("routes", "works, local endpoints", "none of them is a stub", test=LOCAL),
    Row(
        "redirect_slashes",
        "works, local endpoints",
        "of a router that is mounted; an included one has that of the application, as in FastAPI",
        test=LOCAL,
    ),
    Row("default", "works, local endpoints", "of a router that is mounted, as in FastAPI", test=LOCAL),
    Row(
        "dependency_overrides_provider",
        "works, local endpoints",
        "of a router that is mounted, as in FastAPI",
        test=LOCAL,
    ),
    Row("route_class", "works, local endpoints", "a stub is never run, so its class would do nothing", test=LOCAL),
    Row(
        "on_startup",
        "works",
        "they run as in FastAPI, beside a `lifespan=` of the application too",
        test="tests/unit/app/test_lifespan.py::test_handlers_run_as_in_fastapi",
    ),
    Row(
        "on_shutdown",
        "works",
        "they run as in FastAPI, beside a `lifespan=` of the application too",
        test="tests/unit/app/test_lifespan.py::test_handlers_run_as_in_fastapi",
    ),
    Row(
        "lifespan",
        "works",
        "it runs within that of the application",
        test="tests/unit/app/test_lifespan.py::test_beside_a_lifespan_those_of_included_routers_run",
    ),
    Row("deprecated", "document only", test=LOCAL),
    Row("include_in_schema", "document only", test=LOCAL),
    Row("generate_unique_id_function", "document only", test=LOCAL),
    Row("strict_content_type", "works", "as that of the application", test=LOCAL),
    Row("max_body_size", "works", "as that of the application", test=LOCAL),
    Row(
        "form_limits", "works", "as those of the application; the route's own win, then the inner router's", test=LOCAL
    ),
)

INCLUDE: Final = (
    Row("router", "works", "an `APIRouter` has local endpoints; a `limen.Router` has stubs too", test=LOCAL),
    Row("prefix", "works", "before the path of a stub of a `limen.Router`", test=LOCAL),
    Row("tags", "document only", test=LOCAL),
    Row("dependencies", "works, asgi engine", "they run before the request is sent to the service", test=LOCAL),
    Row("responses", "works", "as those of the application", test=LOCAL),
    Row("deprecated", "document only", test=LOCAL),
    Row("include_in_schema", "document only", test=LOCAL),
    Row("default_response_class", "works", "as that of the application", test=LOCAL),
    Row("callbacks", "document only", test=LOCAL),
    Row("generate_unique_id_function", "document only", test=LOCAL),
    Row("max_body_size", "works", "as that of the application", test=LOCAL),
    Row(
        "form_limits", "works", "as those of the application; the route's own win, then the inner router's", test=LOCAL
    ),
)
