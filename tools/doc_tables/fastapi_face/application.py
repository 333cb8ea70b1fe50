"""The arguments of ``Gateway(...)`` that are FastAPI's."""

from typing import Final

from doc_tables.fastapi_face.row import DOCUMENTED, FACE, LOCAL, Row

APP: Final = "tests/unit/app"

ROWS: Final = (
    Row(
        "telemetry",
        "works, asgi engine",
        "its requests are seen, because every route runs on the asgi engine then",
        test=f"{FACE}::test_telemetry_sees_the_requests_of_stubs",
    ),
    Row(
        "debug",
        "works, local endpoints",
        "what fails of the gateway or of a hook is a problem document; clients get the tracebacks of local endpoints and of "
        "dependencies, as in FastAPI: not for production",
        test=f"{FACE}::test_debug_shows_tracebacks_of_endpoints_and_dependencies_alone",
    ),
    Row("routes", "works, local endpoints", "none of them is a stub", test=LOCAL),
    Row("title", "document only", test=DOCUMENTED),
    Row("summary", "document only", test=DOCUMENTED),
    Row("description", "document only", test=DOCUMENTED),
    Row("version", "document only", test=DOCUMENTED),
    Row("openapi_url", "document only", test=DOCUMENTED),
    Row("openapi_tags", "document only", test=DOCUMENTED),
    Row("servers", "document only", test=DOCUMENTED),
    Row(
        *("dependencies", "works, asgi engine", "they run before the request is sent to the service"),
        test="tests/engine/test_dependencies.py::test_they_run_before_the_service_is_asked_and_close_behind_the_answer",
    ),
    Row(
        "default_response_class",
        "works",
        "it documents the media type; a class that makes no JSON is refused where the answer has a model",
        test=DOCUMENTED,
    ),
    Row(
        *("redirect_slashes", "works", "with False, `/x/` is not `/x`: 404"),
        test=f"{FACE}::test_without_redirects_a_final_slash_is_another_path",
    ),
    Row("docs_url", "document only", test=DOCUMENTED),
    Row("redoc_url", "document only", test=DOCUMENTED),
    Row("swagger_ui_oauth2_redirect_url", "document only", test=DOCUMENTED),
    Row("swagger_ui_init_oauth", "document only", test=DOCUMENTED),
    Row(
        "middleware",
        "works, asgi engine",
        "it wraps stubs as it wraps everything",
        test=f"{APP}/test_gateway.py::test_routes_are_described_in_the_order_of_declaration",
    ),
    Row(
        "exception_handlers",
        "works, local endpoints",
        "what the gateway refuses stays a problem document; an HTTPException of an `after` hook is one too",
        test=f"{APP}/test_exception_handlers.py::test_the_users_handlers_answer_what_they_would_in_fastapi",
    ),
    Row(
        "on_startup",
        "works",
        "the handlers run once everything is compiled; beside `lifespan=`, where FastAPI ignores them, they are refused",
        test=f"{APP}/test_lifespan.py::test_handlers_run_as_in_fastapi",
    ),
    Row(
        "on_shutdown",
        "works",
        "as `on_startup`; the handlers run before the connections to the services are closed",
        test=f"{APP}/test_lifespan.py::test_handlers_run_as_in_fastapi",
    ),
    Row(
        "lifespan",
        "works",
        "it begins once everything is compiled",
        test=f"{APP}/test_gateway.py::test_local_endpoints_lifespan_and_test_client_work_as_in_fastapi",
    ),
    Row("terms_of_service", "document only", test=DOCUMENTED),
    Row("contact", "document only", test=DOCUMENTED),
    Row("license_info", "document only", test=DOCUMENTED),
    Row(
        *("root_path", "works", "the paths of stubs are below it, on both engines and in the document"),
        test="tests/engine/test_root_paths.py::test_a_root_path_of_the_application",
    ),
    Row("root_path_in_servers", "document only", test=DOCUMENTED),
    Row(
        "responses",
        "works",
        "documented for every stub; models of success statuses check the service's answers",
        test=f"{FACE}::test_responses_of_the_application_check_answers_of_stubs",
    ),
    Row("callbacks", "document only", test=DOCUMENTED),
    Row("webhooks", "document only", test=DOCUMENTED),
    Row("deprecated", "document only", test=DOCUMENTED),
    Row("include_in_schema", "document only", test=DOCUMENTED),
    Row("swagger_ui_parameters", "document only", test=DOCUMENTED),
    Row("generate_unique_id_function", "document only", test=DOCUMENTED),
    Row("separate_input_output_schemas", "document only", test=DOCUMENTED),
    Row("openapi_external_docs", "document only", test=DOCUMENTED),
    Row(
        *("strict_content_type", "works", "with False, a body without `Content-Type` is read as JSON"),
        test="tests/wire/test_prop_stub_and_fastapi.py"
        "::test_json_may_come_without_a_content_type_where_the_application_says_so",
    ),
    Row(
        "max_body_size",
        "works",
        "it bounds request bodies; those that are read have 256 KiB unless they say so themselves",
        test=f"{APP}/test_gateway_answers.py::test_how_large_a_body_may_be_is_said_by_the_route_or_by_the_application",
    ),
    Row(
        *("form_limits", "works", "of urlencoded forms: 1,000 fields at most"),
        test="tests/unit/app/test_signature_options.py::test_a_route_has_its_own_limits_and_else_those_of_the_application",
    ),
)
