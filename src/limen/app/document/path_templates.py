"""Path templates of OpenAPI: of a route, and of a service's operation as clients of the gateway see it."""

import re
from typing import Final

from limen.routing.pattern import Pattern
from limen.runtime.route import Route

_PARAMETER: Final = re.compile(r"\{([^{}/]*)\}")
_CONVERTED: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::[a-z]+)?\}")
_SAMPLE: Final = "limen-sample"


def template(pattern: Pattern) -> str:
    """Return the template of a route's path: without converters, as FastAPI documents it."""
    return _CONVERTED.sub(r"{\1}", pattern.path)


def names(path: str) -> list[str]:
    """Return the names of the parameters of a template, in order."""
    return _PARAMETER.findall(path)


def shape(path: str) -> str:
    """Return what two templates share that differ in the names of their parameters alone: in one document they are one."""
    return _PARAMETER.sub("{}", path)


def sample(path: str) -> bytes:
    """Return a path that fits ``path``, and that no other route has as a literal."""
    return _PARAMETER.sub(_SAMPLE, path).encode("utf-8", "replace")


class PublicPaths:
    """Where the paths of a service are at the gateway, by the path of a forward and its rewrite."""

    def __init__(self, route: Route) -> None:
        """Turn the rewrite of ``route`` round."""
        pattern = Pattern.parse(route.path)
        self._template = template(pattern)
        tails = {segment.text for segment in pattern.segments if segment.tail}
        seen: set[str] = set()
        pieces: list[str] = []
        for index, piece in enumerate(_PARAMETER.split(route.rewrite or self._template)):
            if index % 2 == 0:
                pieces.append(re.escape(piece))
            elif piece in seen:
                pieces.append(f"(?P={piece})")
            else:
                seen.add(piece)
                pieces.append(f"(?P<{piece}>{'.*' if piece in tails else '[^/]+'})")
        self._at_service = re.compile("".join(pieces))

    def public(self, path: str) -> str | None:
        """Return the template at the gateway for ``path``, one at the service; None for a path that is not reached."""
        found = self._at_service.fullmatch(path)
        if found is None:
            return None
        parts = found.groupdict()
        taken = set(names(path))

        def filled(parameter: re.Match[str]) -> str:
            name: str = parameter[1]
            if (value := parts.get(name)) is not None:
                return value
            while name in taken:  # the service does not see this one, and has another one of its name
                name += "_"
            taken.add(name)
            return f"{{{name}}}"

        return _PARAMETER.sub(filled, self._template)
