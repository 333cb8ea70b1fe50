"""What a ``forward`` says for the document, as it is declared."""

from dataclasses import dataclass
from enum import Enum

from limen.app.document.sources import DocumentSource, FileSource, Sources
from limen.app.options import ForwardOptions
from limen.runtime.route import Route


@dataclass(frozen=True, slots=True)
class DocumentedForward:
    """A forward and how it is documented. ``source`` is where its service's own document is, if it has one."""

    route: Route
    source: DocumentSource | None = None
    tags: tuple[str, ...] | None = None
    name: str = ""
    summary: str = ""
    description: str = ""

    @property
    def shown_name(self) -> str:
        """Its name, for the operations that stand for it; that of its upstream unless it was given."""
        return self.name or self.route.upstream.name

    @classmethod
    def of(cls, route: Route, options: ForwardOptions, sources: Sources) -> "DocumentedForward":
        """Return what ``options`` say; its source is one of ``sources``, or a new one there.

        Raises ValueError or TypeError for what cannot be, or would be of no use.
        """
        document = options.get("document")
        texts = [name for name in ("name", "summary", "description") if options.get(name) is not None]
        if not options.get("include_in_schema", True):
            given = [name for name in ("document", "tags") if options.get(name) is not None] + texts
            if given:
                raise TypeError(f"include_in_schema=False leaves it out of the document, so {given[0]}= says nothing")
        source = None if document is None else sources.of(document, route.upstream)
        if isinstance(source, FileSource) and texts:
            raise TypeError(f"{texts[0]}= is for a service without a document, and document= is a file; leave it out")
        tags = options.get("tags")
        if isinstance(tags, str):
            raise TypeError(f"tags={tags!r} is no list; write tags=[{tags!r}]")
        return cls(
            route,
            source,
            None if tags is None else tuple(str(tag.value) if isinstance(tag, Enum) else tag for tag in tags),
            options.get("name") or "",
            options.get("summary") or "",
            options.get("description") or "",
        )
