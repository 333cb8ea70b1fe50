"""Where the input of a client connection is."""

from typing import Final

IDLE: Final = 0
HEAD: Final = 1
BODY: Final = 2
DISCARDING: Final = 3
"""Nothing more of it is parsed."""
