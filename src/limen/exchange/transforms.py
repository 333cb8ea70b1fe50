"""Several transforms of one message as one."""

from collections.abc import Sequence

from limen.exchange.hooks import Transform


class Chain:
    """What comes out of one transform goes into the next."""

    __slots__ = ("_transforms",)

    def __init__(self, transforms: Sequence[Transform]) -> None:
        """``transforms`` are in the order in which content passes them."""
        self._transforms = transforms

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content."""
        for transform in self._transforms:
            if data:
                data = transform.feed(data)
        return data

    def flush(self) -> bytes:
        """Return what each kept back, passed through those behind it."""
        data = b""
        for transform in self._transforms:
            if data:
                data = transform.feed(data)
            data += transform.flush()
        return data

    def end(self) -> bytes:
        """Return the rest of each, passed through those behind it."""
        data = b""
        for transform in self._transforms:
            if data:
                data = transform.feed(data)
            data += transform.end()
        return data


def chained(transforms: Sequence[Transform]) -> Transform | None:
    """Return one transform that does what ``transforms`` do in turn; None where there are none."""
    if not transforms:
        return None
    return transforms[0] if len(transforms) == 1 else Chain(transforms)
