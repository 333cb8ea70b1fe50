"""Several transforms of one message as one."""

from collections.abc import Sequence

from limen.exchange.granted import Transform


class TransformChain:
    """Several transforms: the output of one is the input of the next."""

    __slots__ = ("_transforms",)

    def __init__(self, transforms: Sequence[Transform]) -> None:
        """Pass content through ``transforms`` in their order."""
        self._transforms = transforms

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content."""
        for transform in self._transforms:
            if data:
                data = transform.feed(data)
        return data

    def flush(self) -> bytes:
        """Return what each kept back, passed through the transforms after it."""
        data = b""
        for transform in self._transforms:
            if data:
                data = transform.feed(data)
            data += transform.flush()
        return data

    def end(self) -> bytes:
        """Return the rest of each, passed through the transforms after it."""
        data = b""
        for transform in self._transforms:
            if data:
                data = transform.feed(data)
            data += transform.end()
        return data


def chain(transforms: Sequence[Transform]) -> Transform | None:
    """Return one transform that does what ``transforms`` do in turn; None for none."""
    if not transforms:
        return None
    return transforms[0] if len(transforms) == 1 else TransformChain(transforms)
