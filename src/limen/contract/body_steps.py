"""Reading a declared body in steps: a large body must not hold up other requests."""

from collections.abc import Generator

from limen.contract.violations import Violations

BodySteps = Generator[None, None, bytes | Violations]
"""Yields between steps, so that others have their turn. Returns the content for the service, or what is wrong with it."""


def finish(steps: BodySteps) -> bytes | Violations:
    """Run all ``steps`` without a pause, and return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: bytes | Violations = done.value
            return result
