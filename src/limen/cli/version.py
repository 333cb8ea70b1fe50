"""What runs, in words: the version of limen, and whether its hot path is compiled or interpreted."""

from importlib.metadata import version as installed

from limen import pipeline


def compiled() -> bool:
    """Tell whether the hot path that was imported is compiled; a wheel holds all of its modules so, or none."""
    return not pipeline.__file__.endswith(".py")


def version() -> str:
    """Return the first line of a log: ``limen 0.1.0, compiled``."""
    return f"limen {installed('limen')}, {'compiled' if compiled() else 'interpreted'}"
