"""The declaration of passive health: what requests tell about a target, and for how long it is left out then. Frozen."""

from dataclasses import dataclass

from limen.upstream.numbers import check_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """When a target is ejected (gets no requests), by what became of requests to it. It is on from two targets on.

    A target is ejected

    - after ``faults`` failures in a row: no connection, a cut or invalid answer, no answer in time, or 502, 503, 504
    - after ``errors`` answers of 5xx in a row
    - after ``overtaken`` attempts in a row that another target answered first, although it was asked later (see ``Hedge``)
    - when ``share`` of at least ``volume`` requests within ``window`` seconds failed or were overtaken

    It is out for ``seconds``, twice as long each time that it fails again, at most ``longest``; each time is shortened by up
    to a quarter, so that the targets of many gateways do not return at once. Then one request at a time goes to it;
    ``probes`` successes bring it back, and its share of requests grows over ``slow_start`` seconds.

    At most ``most`` of all targets are out at once (a share, rounded up), and the last one that is well never is. When fewer
    than ``panic`` of all targets are left, all are used (panic mode): too few would only fail under the load of all.

    Raises ValueError or TypeError that names the setting.
    """

    faults: int = 3
    errors: int = 5
    overtaken: int = 3
    share: float = 0.5
    volume: int = 20
    window: float = 10.0
    seconds: float = 2.0
    longest: float = 10.0
    most: float = 0.5
    panic: float = 0.25
    probes: int = 3
    slow_start: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what would eject nobody, or everybody."""
        for name in ("faults", "errors", "overtaken", "volume", "probes"):
            check_number(self._given(name), getattr(self, name), least=1, whole=True)
        for name in ("window", "seconds", "longest", "share", "most"):
            check_number(self._given(name), getattr(self, name), more_than=True)
        for name in ("share", "most", "panic"):
            check_number(self._given(name), getattr(self, name), most=1)
        check_number(self._given("slow_start"), self.slow_start)
        if self.longest < self.seconds:
            raise ValueError(
                f"Ejection(seconds={self.seconds!r}, longest={self.longest!r}): longest bounds seconds; make it the larger"
            )

    def _given(self, name: str) -> str:
        return f"Ejection({name}={getattr(self, name)!r})"
