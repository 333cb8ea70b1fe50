"""Methods by which a caller may authenticate, and their combination: any one of several is enough."""

from collections.abc import Iterable, Iterator, Sequence


class Method:
    """One method: tokens of the gateway, tokens of an outside issuer, API keys. ``a | b`` accepts either."""

    __slots__ = ()

    def __or__(self, other: "Method | Methods | Sequence[Method]") -> "Methods":
        """Accept what either accepts."""
        return Methods.of(self) | other


class Methods:
    """Several methods, in the order in which they were declared. Without any, nobody can authenticate."""

    __slots__ = ("_all",)

    def __init__(self, methods: Iterable[Method] = ()) -> None:
        """Keep ``methods``, each once."""
        kept: list[Method] = []
        for method in methods:
            if not any(method is one for one in kept):
                kept.append(method)
        self._all = tuple(kept)

    @classmethod
    def of(cls, value: object) -> "Methods":
        """Return ``value``, a method, several, or None, as methods. Raises TypeError for anything else."""
        if value is None:
            return cls()
        if isinstance(value, Methods):
            return value
        if isinstance(value, Method):
            return cls((value,))
        if isinstance(value, list | tuple):
            several: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType] - each is looked at
            if all(isinstance(one, Method) for one in several):
                return cls(one for one in several if isinstance(one, Method))
        raise TypeError(
            f"auth={value!r} is no method: use Jwt(...), Issuer(...), ApiKeys(...), TokenDecoder(...), or several joined "
            "with |"
        )

    def __or__(self, other: "Method | Methods | Sequence[Method]") -> "Methods":
        """Accept what either accepts."""
        return Methods((*self, *Methods.of(other)))

    def __iter__(self) -> Iterator[Method]:
        """Go through the methods in order."""
        return iter(self._all)

    def __len__(self) -> int:
        """Count the methods."""
        return len(self._all)

    def __repr__(self) -> str:
        """Show the methods; the repr of a method never holds a key."""
        return " | ".join(map(repr, self._all)) or "no method"
