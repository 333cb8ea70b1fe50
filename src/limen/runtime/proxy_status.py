"""``Proxy-Status`` on local replies: what is declared of it, and what writes it. Where it is off, there is no writer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from limen.auth.rules import Rule, as_rule
from limen.errors import Fault
from limen.exchange.principal import Principal
from limen.http.headers import Headers
from limen.http.proxy_status import FIELD, Members, is_string, string
from limen.observe.redaction import logger

_log = logger("limen.proxy_status")


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """What the gateway tells of itself when it answers with a fault: ``Proxy-Status: limen; error=connection_refused``.

    - ``name``: which gateway speaks, such as a host name; printable ASCII.
    - ``next_hop``: the rule, such as ``role("admin")``, whose callers see which target was asked; nobody unless given. A
      caller must have been identified, so requests of public routes never tell it, unless the rule is ``anyone``.

    ``Gateway(proxy_status=None)`` tells nothing. Raises TypeError and ValueError that name the setting.
    """

    name: str = "limen"
    next_hop: Rule | Callable[[Principal], bool] | None = None

    def __post_init__(self) -> None:
        """Refuse a name that would break the field, and what is no rule."""
        if not isinstance(self.name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
            raise TypeError(f"ProxyStatus(name={self.name!r}): must be a text, such as 'limen'")
        if not self.name or not is_string(self.name):
            raise ValueError(f"ProxyStatus(name={self.name!r}): must be printable ASCII, such as 'edge-1.example.net'")
        if self.next_hop is not None:
            try:
                as_rule(self.next_hop)
            except TypeError as error:
                raise TypeError(f"ProxyStatus(next_hop=): {str(error).replace('allow=', '', 1)}") from None


class ProxyStatusWriter:
    """Makes the lines of ``Proxy-Status`` for local replies that are faults."""

    __slots__ = ("_members", "_next_hop")

    def __init__(self, declared: ProxyStatus) -> None:
        """Write what does not depend on the request."""
        self._members = Members(declared.name)
        self._next_hop: Rule | None = None if declared.next_hop is None else as_rule(declared.next_hop)

    def lines_of(self, fault: Fault) -> Headers:
        """Return the lines for a request that is refused before anybody looks at who sends it."""
        member = self._members.of(fault)
        return [(FIELD, member)] if member else []

    def lines(
        self,
        fault: Fault | None,
        *,
        principal: Principal | None,
        params: Mapping[str, str],
        target: str,
        answered: tuple[int, Headers],
    ) -> Headers:
        """Return the lines for a request at whatever stage; ``fault`` is None for an answer that was replaced for its status.

        ``target`` was asked last, ``-`` is none. ``answered`` is the head of the answer that the fault takes the place of, 0
        without one: its status is told, and its own members stay, before ours (RFC 9209 section 2).
        """
        member = b"" if fault is None else self._members.of(fault)
        status, headers = answered
        if not status and not member:
            return []
        member = member or self._members.name
        if target != "-" and self._tells(principal, params):
            member += b"; next-hop=" + string(_hop(target))
        if not status:
            return [(FIELD, member)]
        passed = [(name, value) for name, value in headers if name == FIELD]
        return [*passed, (FIELD, member + b"; received-status=%d" % status)]

    def _tells(self, principal: Principal | None, params: Mapping[str, str]) -> bool:
        """Tell whether the caller may know the target; a rule that fails tells nobody, and the refusal stands."""
        rule = self._next_hop
        if rule is None or rule.public:
            return rule is not None
        if principal is None:
            return False
        try:
            return rule.check(principal, params)
        except Exception:
            _log.exception("ProxyStatus(next_hop=%s) failed; the target is not told", rule)
            return False

    def __repr__(self) -> str:
        """Show who speaks, and who learns the target."""
        return f"<ProxyStatusWriter {self._members.name.decode()} next_hop={self._next_hop or 'nobody'}>"


def _hop(target: str) -> str:
    """Return host and port, or the socket, of an address; characters that the field cannot carry as Python escapes them.

    Which address of a name it was is left out: it is not known before the name was looked up.
    """
    hop = (target.partition("://")[2] or target).partition(" [")[0]
    return hop if is_string(hop) else ascii(hop)[1:-1]
