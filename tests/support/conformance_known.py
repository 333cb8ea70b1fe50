"""Where an engine is known not to do what a case or test says: its name, and why. Each entry fails once it is mended.

What differs for good is said in the case itself, with ``On``; what stands here is waiting to be mended.
"""

KNOWN: dict[tuple[str, str], str] = {}
