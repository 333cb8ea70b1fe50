"""The version of limen, and whether its hot path is compiled or interpreted."""

from importlib.metadata import version as installed
from importlib.util import find_spec


def compiled() -> bool:
    """Tell whether the installed hot path is compiled; a wheel has all of its modules compiled, or none."""
    spec = find_spec("limen.pipeline")  # not imported: a supervisor, which does not need it, logs this too
    return spec is not None and not str(spec.origin).endswith(".py")


def version() -> str:
    """Return the first line of a log: ``limen 0.1.0, compiled``."""
    return f"limen {installed('limen')}, {'compiled' if compiled() else 'interpreted'}"
