"""docs/architecture.md: the table of faults, whole."""

from doc_tables.table import Filled, replaced, under
from limen.errors import Kind
from limen.http.proxy_status import PROXY_ERRORS

HEADING = "## What can go wrong"


def faults(text: str) -> Filled:
    """Write the table of ``limen.errors`` in its order."""
    rows = [
        (f"`{kind.code}`", str(kind.status), kind.source, kind.stage, _proxy_error(kind), kind.value.detail)
        for kind in Kind
    ]
    return Filled(replaced(text, under(text, HEADING), rows))


def _proxy_error(kind: Kind) -> str:
    return f"`{PROXY_ERRORS[kind]}`" if kind in PROXY_ERRORS else "none"
