"""The declaration of active health: how the gateway checks targets by itself. Frozen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from limen.upstream.numbers import check_number, check_statuses

_PATH = re.compile(r"/[!-\"$-~]*")  # visible ASCII without a fragment


@dataclass(frozen=True, slots=True)
class Health:
    """The gateway asks each target for ``path`` every ``interval`` seconds, and every ``unhealthy_interval`` while it fails.

    A check is good if an answer with one of ``statuses`` (by default any 2xx) comes within ``timeout`` seconds. After
    ``fall`` bad checks in a row the target is out, after ``rise`` good ones in a row it returns; the first check of a target
    decides at once. Intervals vary by a fifth at random. Where several workers serve, one of them checks for all.

    ``limen serve`` is not ready (``/readyz``) before each target was checked once.

    Raises ValueError or TypeError that names the setting.
    """

    path: str
    interval: float = 5.0
    unhealthy_interval: float = 1.0
    timeout: float = 1.0
    fall: int = 3
    rise: int = 2
    statuses: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Refuse what would check nothing, or all the time."""
        # What is no text is told as a wrong path is.
        if not _PATH.fullmatch(self.path if isinstance(self.path, str) else ""):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
            raise ValueError(f"Health({self.path!r}): the path begins with '/', such as Health('/readyz')")
        for name in ("interval", "unhealthy_interval", "timeout"):
            check_number(f"Health({name}={getattr(self, name)!r})", getattr(self, name), least=0.05, most=3600)
        for name in ("fall", "rise"):
            check_number(f"Health({name}={getattr(self, name)!r})", getattr(self, name), least=1, most=100, whole=True)
        check_statuses("Health", self.statuses, least=200)
        object.__setattr__(self, "statuses", tuple(self.statuses))

    def good(self, status: int) -> bool:
        """Tell whether an answer of ``status`` says that the target is well."""
        return status in self.statuses if self.statuses else 200 <= status < 300
