"""An endpoint of the application's own, as the table knows it: so that no stub or ``forward`` takes its requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from limen.auth.method import Methods
from limen.auth.rules import Rule
from limen.routing.pattern import Pattern
from limen.routing.table import ANY, WEBSOCKET


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """One endpoint. ``methods`` may be ``ANY`` or ``WEBSOCKET``; ``converters`` are those that its path may name.

    ``route`` is the route as the framework knows it, where ``allow`` says who may call; ``auth`` None means the gateway's own
    methods. ``schemes_documented`` says that its dependencies ask for credentials besides, and the document has which.
    """

    methods: tuple[str, ...]
    path: str
    converters: Mapping[str, str] = field(repr=False)
    kind: str
    route: object = field(default=None, repr=False, compare=False)
    allow: Rule | None = None
    auth: Methods | None = None
    schemes_documented: bool = False

    @property
    def name(self) -> str:
        """Method and path, as messages name it."""
        if self.methods == (ANY,):
            return f"{self.kind} at {self.path.removesuffix('/{path:path}') or '/'}"
        if self.methods == (WEBSOCKET,):
            return f"WebSocket {self.path}"
        return f"{'|'.join(self.methods)} {self.path}"

    @property
    def pattern(self) -> Pattern:
        """The path, parsed. Raises ValueError for one that the table cannot hold."""
        return Pattern.parse(self.path, self.converters)
