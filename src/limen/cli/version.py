"""The version of limen, and whether its hot path is compiled or interpreted."""

from importlib.metadata import version as installed
from importlib.util import find_spec


def compiled() -> bool:
    """Tell whether the hot path that is imported is compiled; a wheel holds all of its modules so, or none."""
    found = find_spec("limen.pipeline.exchange")  # looked for and not imported: a supervisor says what its workers run
    return found is not None and not str(found.origin).endswith(".py")


def version() -> str:
    """Return the first line of a log: ``limen 0.1.0, compiled``."""
    return f"limen {installed('limen')}, {'compiled' if compiled() else 'interpreted'}"
