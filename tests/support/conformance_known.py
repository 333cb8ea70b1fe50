"""Known deviations: the name of a case or test, the engine, and why. Each entry fails once it is fixed.

A difference that stays is part of the case itself, with ``On``; entries here wait for a fix.
"""

KNOWN: dict[tuple[str, str], str] = {}
