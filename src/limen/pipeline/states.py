"""The states of an exchange, and what it waits for in one of them. ``limen.pipeline.exchange`` moves from one to another."""

from typing import Final

# What the engine is to do next.
NEW: Final = 0
WAITING: Final = 1
"""Wait for ``awaited``, then ``resume`` with what it gives."""
READING: Final = 2
"""Read the declared body whole, then call ``body_came``."""
SENDING: Final = 3
"""Send the request to the service, once a connection is there; then call ``answer_begins``."""
ANSWERING: Final = 4
"""Pass the content of the service's answer on, behind the head in ``answer``."""
BUFFERING: Final = 5
"""Read the service's answer whole, then call ``answer_whole``."""
REPLYING: Final = 6
"""Write ``reply``; ``fault`` is why, if it is a refusal."""
LOCAL: Final = 7
"""Hand the request on: it is for an endpoint of the application itself."""
SETTLED: Final = 8
GUARDING: Final = 9
"""Run the route's dependencies, which may answer themselves; else call ``guard_passed``."""

NAMES: Final = (
    *("new", "waiting", "reading", "sending", "answering", "buffering", "replying", "local", "settled"),
    "guarding",
)
"""The name of each state, by its number."""

# What is waited for while an exchange is ``WAITING``, by the number of its step.
ENTER: Final = 0
ARRIVE: Final = 2
IDENTIFY: Final = 3
LIMIT: Final = 4
BODY: Final = 5
LOOKUP: Final = 6
ANSWER: Final = 11
