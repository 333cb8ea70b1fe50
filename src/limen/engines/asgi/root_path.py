"""The path of a request below its ``root_path``, and a root path that a trusted proxy names.

ASGI has the root path at the beginning of ``path``, and most servers of ``raw_path`` as well; a mounted application gets the
path of its mount in ``root_path``.
"""

from urllib.parse import quote, unquote

from starlette.types import Scope

from limen.client.root_path import below_root, forwarded_prefix, raw_root
from limen.client.trust import Trust
from limen.engines.asgi.record import peer


def path_below_root(scope: Scope) -> tuple[bytes, bytes]:
    """Return the raw path that the table is asked about, and the root above it."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    root_path: str = scope.get("root_path", "")
    if not root_path:
        return raw, b""
    root = raw_root(root_path)
    return below_root(raw, root), root


def take_prefix(scope: Scope, trust: Trust, declared: str) -> None:
    """Put the prefix that a trusted proxy has taken off before the root path, unless there is one already.

    ``declared`` is the root path of the application.
    """
    if declared:
        return
    if scope["type"] not in ("http", "websocket") or not trust.networks or trust.speaks != "x-forwarded":
        return
    if scope.get("app_root_path", scope.get("root_path", "")):
        return
    prefix = forwarded_prefix(scope["headers"]) if trust.covers(peer(scope)) else b""
    if prefix:
        text = unquote(prefix.decode("ascii"))
        scope["root_path"] = text + scope.get("root_path", "")
        scope["path"] = text + scope["path"]
        if scope.get("raw_path"):
            scope["raw_path"] = prefix + scope["raw_path"]
