"""Every parameter, endpoint, behaviour, setting and wish of the article's projects, and the test that shows what it became.

A row has node ids of tests, or the heading of ``docs/coming-from-the-article.md`` that answers it, or both. The numbers are
those of the sections of the checklist: 1 parameters, 2 pipeline, 3 endpoints, 4 tokens, 5 settings and deployment, 6 users,
7 orders and suppliers, 8 tests, 9 notes.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coming-from-the-article.md").read_text()
TestsIn = Callable[[Path], frozenset[str]]
HEADINGS = frozenset(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))

P = "tests/compat/test_article_parameters.py::"
D = "tests/compat/test_article_declaration.py::"
L = "tests/compat/test_article_pipeline.py::"
E = "tests/compat/test_article_endpoints.py::"
DEPLOY = "tests/deploy/test_deploy_files.py::"
USERS = "accounts/tests/test_accounts_service.py::"
STORES = "accounts/tests/test_accounts_stores.py::"
ORDERS = "shop/orders/tests/test_orders.py::"
SUPPLIERS = "shop/suppliers/tests/test_suppliers.py::"
MISTAKES = f"{D}test_a_mistake_is_told_with_its_route_and_how_to_mend_it"
NOTES, PACKAGING, MENDED, SETTINGS = (
    "The notes of the article, answered",
    "The packaging of the projects",
    "What is mended",
    "Settings",
)

ROWS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (
        1,
        "request_method: a bound registrar",
        (f"{P}test_the_registrars_of_a_gateway", f"{P}test_a_registrar_of_no_gateway_is_refused"),
    ),
    (1, "path: the public one, and that at the service", (f"{P}test_the_path_at_the_service_is_the_public_one",)),
    (
        1,
        "status_code: documented, the gate of post-processing, and not forced",
        (f"{P}test_only_the_documented_status_is_processed",),
    ),
    (1, "payload_key: the argument that is the body", (f"{L}test_a_body_is_sent_where_there_is_one", MISTAKES)),
    (1, "service_url: the base of the request's address", (f"{P}test_an_address_is_an_upstream",)),
    (
        1,
        "authentication_required: all three functions, or none",
        (f"{P}test_without_authentication_none_of_the_three_runs",),
    ),
    (
        1,
        "post_processing_func: of the decoded answer",
        (f"{P}test_only_the_documented_status_is_processed", f"{P}test_a_post_processor_may_wait"),
    ),
    (
        1,
        "authentication_token_decoder: of the raw header; what it raises is a 401",
        (
            f"{P}test_a_decoder_gives_its_payload_to_the_checker_and_the_generator_as_it_is",
            f"{L}test_nothing_of_what_a_decoder_raises_is_told",
        ),
    ),
    (
        1,
        "service_authorization_checker: truthy or falsy; falsy skips it; admins unless given",
        (
            f"{P}test_a_checker_may_return_anything_true",
            f"{P}test_a_checker_may_be_skipped_and_the_headers_too",
            f"{P}test_the_defaults_are_safe",
        ),
    ),
    (
        1,
        "service_header_generator: a dict of headers; falsy skips it",
        (
            f"{P}test_headers_of_a_generator_cannot_be_sent_by_clients",
            f"{P}test_a_checker_may_be_skipped_and_the_headers_too",
        ),
    ),
    (
        1,
        "response_model: resolved at import, for documents and validation",
        (f"{P}test_names_and_functions_are_the_same", f"{E}test_the_documents"),
    ),
    (1, "response_list: a list of the model", (f"{P}test_a_model_or_a_list_of_it",)),
    (
        1,
        "the handler takes Request and Response and never runs",
        (f"{P}test_a_handler_is_a_stub_without_request_and_response",),
    ),
    (
        1,
        "dotted names that lead nowhere fail at start",
        (MISTAKES, f"{D}test_all_mistakes_of_all_routes_are_told_together"),
    ),
    (2, "422 and 401: the caller first", (f"{L}test_the_caller_is_asked_for_before_the_request_is_checked",)),
    (2, "401 with Bearer and three details", (f"{L}test_the_three_refusals_of_a_token",)),
    (2, "403 with its detail and Bearer", (f"{E}test_who_may_call_what",)),
    (2, "request-user-id for the service", (f"{L}test_a_client_cannot_say_who_it_is",)),
    (
        2,
        "same method and path; a body only where there is one",
        (f"{L}test_a_body_is_sent_where_there_is_one", f"{L}test_a_body_that_is_not_declared_reaches_no_service"),
    ),
    (
        2,
        "spoofed identity is dropped; query and useful headers pass",
        (f"{L}test_a_client_cannot_say_who_it_is", f"{L}test_the_query_and_useful_headers_pass_and_credentials_do_not"),
    ),
    (2, "status and headers of the service pass", (f"{L}test_status_and_headers_of_the_service_pass",)),
    (2, "unreachable: 503", (f"{L}test_a_service_that_cannot_be_reached_is_503",)),
    (2, "no JSON: 502", (f"{L}test_an_answer_that_is_none_is_502",)),
    (
        2,
        "a timeout is 504, other failures 502",
        (
            f"{L}test_a_service_that_does_not_answer_in_time_is_504",
            f"{L}test_an_answer_that_is_none_is_502",
            f"{P}test_an_address_is_an_upstream",
        ),
    ),
    (
        2,
        "errors of a service pass, model or not",
        (
            f"{L}test_an_error_of_a_service_is_not_held_against_the_model",
            f"{E}test_errors_of_a_service_pass_with_a_model_and_without",
        ),
    ),
    (2, "connections are pooled", (f"{L}test_a_connection_serves_many_requests",)),
    (
        3,
        "POST /api/login",
        (f"{E}test_a_login_gives_a_token_and_nothing_of_the_record", f"{E}test_the_errors_of_a_login_pass"),
    ),
    (
        3,
        "POST /api/users",
        (f"{E}test_users_are_managed_by_admins", f"{E}test_errors_of_a_service_pass_with_a_model_and_without"),
    ),
    (3, "GET /api/users", (f"{E}test_users_are_managed_by_admins",)),
    (
        3,
        "GET /api/users/{user_id}",
        (f"{E}test_users_are_managed_by_admins", f"{L}test_the_caller_is_asked_for_before_the_request_is_checked"),
    ),
    (
        3,
        "DELETE /api/users/{user_id}",
        (f"{E}test_users_are_managed_by_admins", f"{E}test_errors_of_a_service_pass_with_a_model_and_without"),
    ),
    (
        3,
        "PUT /api/users/{user_id}; an unknown id is a 404",
        (
            f"{E}test_what_the_client_leaves_out_is_not_sent",
            f"{E}test_errors_of_a_service_pass_with_a_model_and_without",
        ),
    ),
    (3, "GET /api/orders", (f"{E}test_orders_are_the_callers_own",)),
    (
        3,
        "POST /api/orders",
        (f"{E}test_orders_are_the_callers_own", f"{L}test_the_caller_is_asked_for_before_the_request_is_checked"),
    ),
    (3, "GET /api/suppliers", (f"{E}test_suppliers_are_everybodys_and_keep_who_made_them",)),
    (3, "POST /api/suppliers", (f"{E}test_suppliers_are_everybodys_and_keep_who_made_them",)),
    (3, "the models", (f"{E}test_the_documents", f"{E}test_no_hash_of_a_password_leaves_the_gateway")),
    (3, "/docs, /redoc and /openapi.json", (f"{E}test_the_documents",)),
    (3, "final slash 307, wrong method 405", (f"{E}test_a_wrong_method_and_a_final_slash",)),
    (3, "who may call what", (f"{E}test_who_may_call_what",)),
    (
        4,
        "HS256 tokens with id, user_type and exp, and their lifetime",
        (
            f"{E}test_a_token_of_the_gateways_own_is_as_good",
            "tests/unit/auth/test_jwt_issue.py::test_times_are_whole_seconds",
            SETTINGS,
        ),
    ),
    (
        4,
        "the secret key is a setting, without a default; rotation, aud, iss, kid",
        (
            f"{DEPLOY}test_compose_refuses_to_start_without_a_signing_key",
            "tests/unit/auth/test_jwt.py::test_issuer_and_audience",
            "tests/unit/auth/test_jwt_keys.py::test_a_retired_key_verifies_until_it_ends",
            SETTINGS,
        ),
    ),
    (
        4,
        "exceptions for missing, expired and corrupted tokens",
        (f"{L}test_the_three_refusals_of_a_token", "tests/unit/auth/test_token_decoder.py::test_what_admits_nobody"),
    ),
    (
        4,
        "a bare token or another scheme",
        (
            f"{L}test_a_bare_token_is_what_the_projects_decoder_says_and_is_none_for_limen",
            "tests/unit/auth/test_bearer.py::test_anything_else_is_a_fault",
        ),
    ),
    (
        4,
        "the details are those of the three exceptions, whatever the library says",
        (f"{L}test_nothing_of_what_a_decoder_raises_is_told",),
    ),
    (4, "a token without user_type is no 500", (f"{L}test_a_token_without_a_claim_is_no_failure_of_the_gateway",)),
    (4, "roles: admin, default, any other", (f"{E}test_who_may_call_what",)),
    (4, "the login's record becomes a token", (f"{E}test_a_login_gives_a_token_and_nothing_of_the_record",)),
    (
        4,
        "refresh, logout, revocation, rotation",
        (
            "tests/e2e/test_sessions.py::test_a_session_is_refreshed_and_ends_when_an_old_token_is_used",
            "tests/e2e/test_sessions.py::test_logout_is_immediate_and_of_one_session",
        ),
    ),
    (
        5,
        "the addresses of the services",
        (f"{DEPLOY}test_the_gateways_environment_is_what_its_settings_read", SETTINGS),
    ),
    (
        5,
        "GATEWAY_TIMEOUT and the lifetime; a missing address is told at start",
        (MISTAKES, f"{P}test_an_address_is_an_upstream", SETTINGS),
    ),
    (
        5,
        "Compose: only the gateway is published, and waits for all services",
        (
            f"{DEPLOY}test_only_the_gateway_publishes_a_port",
            f"{DEPLOY}test_the_gateway_waits_until_every_service_is_ready",
            PACKAGING,
        ),
    ),
    (
        5,
        "Dockerfiles, and their misspelt variable",
        (f"{DEPLOY}test_the_container_logs_at_once_and_tells_its_health", PACKAGING),
    ),
    (5, "pins", (f"{DEPLOY}test_locks_have_hashes_and_name_no_index", PACKAGING)),
    (5, "curls.txt, and bumps of pins", ("tests/e2e/test_demonstration.py::test_the_demonstration", PACKAGING)),
    (
        6,
        "login, create, list, get, delete and update, without the hash",
        (f"{USERS}test_no_hash_and_no_password_ever_leaves", f"{USERS}test_users_are_created_once"),
    ),
    (
        6,
        "a JSON file, its ids and its races",
        (f"{STORES}test_several_processes_write_one_json_file", f"{STORES}test_ids_are_never_used_twice"),
    ),
    (6, "bcrypt", (f"{USERS}test_old_bcrypt_hashes_are_verified_and_upgraded",)),
    (
        6,
        "unique names and mails; no mail is no value",
        (f"{USERS}test_users_are_created_once", f"{USERS}test_updates_are_partial"),
    ),
    (6, "partial updates", (f"{USERS}test_updates_are_partial", f"{E}test_what_the_client_leaves_out_is_not_sent")),
    (6, "users 1 and 2 are protected", (f"{USERS}test_protected_users_stay",)),
    (
        6,
        "demo accounts",
        (f"{USERS}test_the_demo_accounts_log_in", f"{USERS}test_without_demo_there_are_no_known_accounts", PACKAGING),
    ),
    (
        7,
        "orders: their columns, and a database that outlives a restart",
        (
            f"{ORDERS}test_an_order_is_placed_and_read",
            f"{ORDERS}test_migrations_match_the_models",
            "tests/e2e/test_faults.py::test_kill_9_loses_no_acknowledged_write",
            PACKAGING,
        ),
    ),
    (
        7,
        "orders of the caller; none without a caller",
        (f"{ORDERS}test_only_owners_and_admins_see_an_order", f"{ORDERS}test_every_endpoint_needs_identity"),
    ),
    (
        7,
        "a forged request-user-id at the service",
        ("kit/tests/test_kit_identity.py::test_plain_headers_alone_are_refused",),
    ),
    (
        7,
        "suppliers: everybody's, and who made them",
        (f"{SUPPLIERS}test_a_supplier_is_created_by_a_caller_and_read_by_anybody",),
    ),
    (
        7,
        "not found 404, bad input 422",
        (f"{SUPPLIERS}test_a_deleted_supplier_is_gone", f"{ORDERS}test_bad_bodies_are_refused"),
    ),
    (
        7,
        "operation ids of their own",
        (f"{E}test_the_documents", "kit/tests/test_kit_service.py::test_the_document_is_valid"),
    ),
    (
        8,
        "tests of hashes and of the store, and of the gateway",
        (f"{USERS}test_hashes_differ_and_verify", f"{STORES}test_what_is_created_can_be_found", PACKAGING),
    ),
    (9, "coroutines for I/O", (NOTES,)),
    (9, "dependency injection; the router as a package", (NOTES,)),
    (9, "declarative rules, such as YAML", (NOTES,)),
    (9, "Compose for production", (f"{DEPLOY}test_no_container_may_more_than_it_needs", NOTES)),
    (9, "an event-driven approach", (NOTES,)),
    (9, "authentication and authorization in one place", ("tests/e2e/test_access.py::test_endpoint", NOTES)),
    (9, "the gateway issues the token", (f"{E}test_a_login_gives_a_token_and_nothing_of_the_record", NOTES)),
    (9, "races of the file of users", (f"{STORES}test_several_processes_write_one_json_file", NOTES)),
    (9, "services check that there is an identity", (f"{ORDERS}test_every_endpoint_needs_identity", NOTES)),
    (9, "hide hashed_password", (f"{E}test_no_hash_of_a_password_leaves_the_gateway", NOTES)),
    (9, "API versioning", (f"{P}test_the_registrars_of_a_group_within_a_group", NOTES)),
    (9, "the lifetime of tokens is a setting", (NOTES, SETTINGS)),
    (9, "nginx in front", ("tests/engine/test_trusted_proxy.py", NOTES)),
    (
        9,
        "only the gateway reaches the services; one more is cheap",
        (
            f"{DEPLOY}test_a_service_shares_a_network_with_the_gateway_and_its_own_database_alone",
            "tests/new/test_new_in_this_repository.py::test_outside_its_folder_only_the_files_that_know_it_change",
            NOTES,
        ),
    ),
)

# The rows of each section of the checklist.
COUNTS = {1: 14, 2: 12, 3: 14, 4: 9, 5: 6, 6: 7, 7: 6, 8: 1, 9: 14}


def test_no_row_is_missing() -> None:
    assert {number: sum(row[0] == number for row in ROWS) for number in COUNTS} == COUNTS
    assert len({(number, what) for number, what, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_what_shows_it_exists(row: tuple[int, str, tuple[str, ...]], tests_in: TestsIn) -> None:
    number, _, shown = row
    assert shown
    for one in shown:
        file, separator, test = one.partition("::")
        if file.endswith(".py"):
            path = ROOT / file
            assert path.is_file(), one
            assert not separator or test in tests_in(path), one
        else:
            assert one in HEADINGS, one
    # Behaviour is shown by a test; what is about packaging, or a wish, may be answered on the page alone.
    assert number in (5, 9) or any("::" in one for one in shown)


def test_every_note_is_answered() -> None:
    answers = PAGE.partition(f"## {NOTES}\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^- \*\*", answers, re.MULTILINE)) == COUNTS[9]
