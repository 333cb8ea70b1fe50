"""docs/check.md: the table of what ``limen check`` finds, whole."""

from doc_tables.table import Filled, replaced, under
from limen.checks.finding import Kind

HEADING = "## What it finds"


def findings(text: str) -> Filled:
    """Write the table of ``limen.checks.finding`` in its order."""
    rows = [(f"`{kind.code}`", kind.severity, kind.what, kind.why, kind.mend) for kind in Kind]
    return Filled(replaced(text, under(text, HEADING), rows))
