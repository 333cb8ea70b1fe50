"""Templates for the path at the service, such as ``/v2/items/{item_id}``. Parameters are inserted as raw bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A parsed template: literal bytes, and parameter names as strings."""

    parts: tuple[bytes | str, ...]

    @classmethod
    def parse(cls, template: str, params: frozenset[str]) -> "Rewrite":
        """Parse ``template``; raise ValueError when it is not a path or names a parameter the route does not have."""
        if not template.startswith("/"):
            raise ValueError(f"rewrite {template!r} must begin with '/'")
        parts: list[bytes | str] = []
        for index, piece in enumerate(_NAME.split(template)):
            if index % 2:
                if piece not in params:
                    known = ", ".join(sorted(params)) or "none"
                    raise ValueError(f"rewrite {template!r} names {{{piece}}}; parameters of this path: {known}")
                parts.append(piece)
            elif not _LITERAL.fullmatch(piece):
                raise ValueError(f"rewrite {template!r} may hold path characters and {{name}} only, not {piece!r}")
            elif piece:
                parts.append(piece.encode())
        return cls(tuple(parts))

    def fill(self, raw: Mapping[str, bytes]) -> bytes:
        """Return the path with the parameters' raw bytes, encodings untouched."""
        return b"".join(part if isinstance(part, bytes) else raw[part] for part in self.parts)
