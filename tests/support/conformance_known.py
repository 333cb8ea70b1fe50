"""Where an engine is known not to do what a case or test says: its name, and why. Each entry fails once it is mended.

What differs for good is said in the case itself, with ``On``; what stands here is waiting to be mended.
"""

_READING_PAUSED = "reading is paused while a request waits in line: nothing tells that the client has left"

KNOWN: dict[tuple[str, str], str] = {
    ("asgi", "pipelined: a client that leaves ends those in line"): _READING_PAUSED,
}
