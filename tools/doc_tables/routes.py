"""The shop's public routes: docs/access.md, whole, and the table of README.

The gateway reads its settings where it is imported, so that happens here and not before: ``main`` gives it some.
"""

from functools import cache

from doc_tables.table import Filled, replaced, under
from limen import Gateway
from limen.cli.load import load_gateway
from limen.cli.matrix import FORMS, matrix_of

HEADING = "## The public routes"

# What README says for a rule. A semicolon may follow, with what the service says besides.
WORDS = {
    "anyone": "anyone",
    "signed_in": "whoever is known",
    "role(admin)": "admin",
    "role(default, admin)": "any user",
    "role(default, admin) | scope(orders:read)": "any user, or `orders:read`",
    "role(default, admin) | scope(orders:write)": "any user, or `orders:write`",
    "role(default, admin) | scope(suppliers:write)": "any user, or `suppliers:write`",
    "role(service)": "the users service",
    "owner(user_id) | role(admin)": "the user, or an admin",
}


@cache
def shop() -> Gateway:
    """Return the shop's gateway."""
    return load_gateway("shop_gateway.app:app")


def access(text: str) -> Filled:
    """Return the page that ``limen matrix`` makes, whatever ``text`` is."""
    del text
    return Filled(FORMS["markdown"](matrix_of(shop())))


def readme(text: str) -> Filled:
    """Write the routes in their order; what the service says of who may call is kept by method and path."""
    table = under(text, HEADING)
    besides = {(row[0], row[1]): row[3].partition(";")[2] for row in table.rows}
    rows: list[tuple[str, str, str, str]] = []
    problems: list[str] = []
    for info in shop().describe():
        if info.allow not in WORDS:
            problems.append(f"{HEADING}: no words for the rule {info.allow}; add some to tools/doc_tables/routes.py")
        for method in info.methods:
            more = besides.get((method, f"`{info.path}`"), "")
            who = WORDS.get(info.allow, info.allow) + (f";{more}" if more else "")
            rows.append((method, f"`{info.path}`", info.upstream, who))
    return Filled(replaced(text, table, rows), tuple(problems))
