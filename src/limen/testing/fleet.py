"""Several scripted targets of one upstream."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from types import TracebackType

from limen.testing.target import ScriptedTarget


class Fleet:
    """``count`` targets of one upstream: on real sockets, once it is entered, or among the services of ``serving``.

    In memory: ``serving(app, services=fleet.services)``, for ``Upstream("orders", fleet.urls)``; the addresses are
    ``http://orders-1:8000`` and so on, which nobody looks up. On sockets: ``async with Fleet(3) as fleet``, and
    ``fleet.urls`` are of loopback ports.
    """

    def __init__(self, count: int, name: str = "service") -> None:
        """``name`` begins the names of the hosts in memory. Raises ValueError for a fleet of none."""
        if count < 1:
            raise ValueError(f"Fleet({count}): a fleet has at least one target")
        self.targets = tuple(ScriptedTarget() for _ in range(count))
        self._names = [f"http://{name}-{number}:8000" for number in range(1, count + 1)]
        self._stack: AsyncExitStack | None = None

    @property
    def urls(self) -> list[str]:
        """The addresses as an ``Upstream`` takes them."""
        return list(self._names) if self._stack is None else [target.url for target in self.targets]

    @property
    def services(self) -> dict[str, ScriptedTarget]:
        """The targets by their addresses in memory, for ``serving`` and ``WithServices``."""
        return dict(zip(self._names, self.targets, strict=True))

    def counts(self, path: str | None = None) -> list[int]:
        """Return how many requests each target got: of all paths, or of one."""
        return [target.count(path) for target in self.targets]

    def forget(self) -> None:
        """Forget all requests and counts."""
        for target in self.targets:
            target.forget()

    def __getitem__(self, index: int) -> ScriptedTarget:
        """Return one target; the first is 0."""
        return self.targets[index]

    def __iter__(self) -> Iterator[ScriptedTarget]:
        """Iterate over the targets."""
        return iter(self.targets)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.targets)

    async def __aenter__(self) -> "Fleet":
        """Listen, each target on a port of its own."""
        async with AsyncExitStack() as stack:
            for target in self.targets:
                await stack.enter_async_context(target)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and raise the exception of a script."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.__aexit__(kind, error, trace)

    def __repr__(self) -> str:
        """Show how many requests each target got."""
        return f"<Fleet {' '.join(f'{url}: {count}' for url, count in zip(self.urls, self.counts(), strict=True))}>"
