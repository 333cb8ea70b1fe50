"""docs/architecture.md: the table of faults, whole."""

from doc_tables.table import Filled, replaced, under
from limen.errors import Kind

HEADING = "## What can go wrong"


def faults(text: str) -> Filled:
    """Write the table of ``limen.errors`` in its order."""
    rows = [(f"`{kind.code}`", str(kind.status), kind.source, kind.stage, kind.value.detail) for kind in Kind]
    return Filled(replaced(text, under(text, HEADING), rows))
