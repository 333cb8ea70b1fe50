"""Files that follow a service that is there: compose files, pages, Dockerfiles."""

import pytest

from limen.cli.new.edit_like import add_to_access_page, add_to_compose, add_to_page, add_to_routes_table, renamed
from limen.cli.new.plan import CannotEdit

COMPOSE = """services:
  gateway:
    networks: [public, users]
    environment:
      TIMEOUT: 5 # longer than users wait
      USERS_SERVICE_URL: http://users:8000
    depends_on:
      users: { condition: service_healthy }

  # the users
  users:
    networks: [users]
    environment:
      DATABASE_URL: ${USERS_DATABASE_URL:-sqlite://users.sqlite3}

  users-db:
    networks: [users]

networks:
  users: { internal: true }

volumes:
  users: {}
  users-db: {}
"""


def test_every_place_of_the_model_gets_a_second_one() -> None:
    after = add_to_compose(COMPOSE, "users", "reviews")
    assert "networks: [public, users, reviews]" in after
    assert "      USERS_SERVICE_URL: http://users:8000\n      REVIEWS_SERVICE_URL: http://reviews:8000\n" in after
    assert "      users: { condition: service_healthy }\n      reviews: { condition: service_healthy }\n" in after
    assert "\n\n  reviews:\n    networks: [reviews]\n    environment:\n" in after
    assert "DATABASE_URL: ${REVIEWS_DATABASE_URL:-sqlite://reviews.sqlite3}\n\n  users-db:" in after
    assert "  users: { internal: true }\n  reviews: { internal: true }\n" in after
    assert after.endswith("  users: {}\n  reviews: {}\n  users-db: {}\n  reviews-db: {}\n")
    comments = COMPOSE.count("# the users") + COMPOSE.count("# longer than users")
    assert after.lower().count("reviews") == COMPOSE.lower().count("users") - comments


def test_a_place_that_is_not_understood_is_refused_by_its_line() -> None:
    with pytest.raises(
        CannotEdit, match="line 3 names users in a way that is not understood: command: serve users now"
    ):
        add_to_compose("services:\n  gateway:\n    command: serve users now\n", "users", "reviews")
    with pytest.raises(CannotEdit, match="it does not name users"):
        add_to_compose("services: {}\n", "users", "reviews")


def test_a_word_is_renamed_whole_or_between_underscores_and_hyphens() -> None:
    text = "users USERS_URL shop_users shop/users users-db superusers usersettings Users"
    assert renamed(text, "users", "reviews") == (
        "reviews REVIEWS_URL shop_reviews shop/reviews reviews-db superusers usersettings Users"
    )


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (
            "| gateway | `USERS_SERVICE_URL` | where the users service is |",
            "| gateway | `USERS_SERVICE_URL` | where the users service is |\n"
            "| gateway | `REVIEWS_SERVICE_URL` | where the reviews service is |",
        ),
        (
            "| `A_DATABASE_URL`, `USERS_DATABASE_URL` | x |",
            "| `A_DATABASE_URL`, `USERS_DATABASE_URL`, `REVIEWS_DATABASE_URL` | x |",
        ),
        (
            "  A=1 USERS_SERVICE_URL=http://users:8011 limen routes --port 8011",
            "  A=1 USERS_SERVICE_URL=http://users:8011 REVIEWS_SERVICE_URL=http://reviews:8015 limen routes --port 8011",
        ),
        (
            'export USERS_DATABASE_URL="postgres://users@users-db/users"',
            'export USERS_DATABASE_URL="postgres://users@users-db/users"\n'
            'export REVIEWS_DATABASE_URL="postgres://reviews@reviews-db/reviews"',
        ),
        ("Prose about users and USERS_OTHER stays.", "Prose about users and USERS_OTHER stays."),
    ],
)
def test_a_page_has_the_new_variables_beside_those_of_the_model(line: str, after: str) -> None:
    assert add_to_page(f"# A page\n{line}\n", "users", "reviews", (8011, 8015)) == f"# A page\n{after}\n"


def test_rows_come_at_the_end_of_the_table_of_routes() -> None:
    page = "| method | path | service | who may call |\n|---|---|---|---|\n| GET | `/a` | a | anyone |\n\nMore.\n"
    row = ("GET", "`/api/reviews`", "reviews", "anyone")
    assert add_to_routes_table(page, [row]) == page.replace(
        "\n\nMore", "\n| GET | `/api/reviews` | reviews | anyone |\n\nMore"
    )
    assert add_to_routes_table("# No table\n", [row]) == "# No table\n"


def test_the_page_of_who_may_call_what_gets_the_rows_of_the_service_alone() -> None:
    head = "| METHOD | PATH | SERVICE |\n|---|---|---|\n"
    kept = f"{head}| GET | `/a` | users |\n"
    page = f"{head}| GET | `/.well-known/jwks.json` | FastAPI |\n| GET | `/a` | users |\n| GET | `/b` | reviews |\n"
    assert add_to_access_page(kept, page, "reviews") == f"{kept}| GET | `/b` | reviews |\n"
    other = page.replace("| SERVICE |", "| SERVICE | role a |")
    assert add_to_access_page(kept, other, "reviews") == other
