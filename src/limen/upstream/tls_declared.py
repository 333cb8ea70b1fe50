"""The declaration of TLS towards one upstream: names of files. Frozen; no file is opened here.

``limen.upstream.tls_context`` loads the files when the gateway compiles, so that a missing one is a problem of the
declaration and not of the first request, and again when they change.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the gateway verifies the ``https://`` targets of an upstream, and the client certificate that it shows them.

    ``ca`` is a PEM file of the authorities to trust instead of the system's. ``certificate`` and ``key`` are PEM files: the
    client certificate, followed by its intermediates, and its private key without a passphrase; without ``key``, the file of
    the certificate holds both. ``server_name`` is the name that certificates must be for, and that SNI sends, where it is not
    the host of the target.

    ``dangerously_accept_any_certificate`` verifies nothing: anybody on the path can read and change all that passes.

    Raises ValueError that says what to mend.
    """

    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None
    server_name: str | None = None
    dangerously_accept_any_certificate: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for name in ("ca", "certificate", "key"):
            if getattr(self, name) is not None and not str(getattr(self, name)):
                raise ValueError(f"Tls({name}=''): name a PEM file, or leave {name} out")
        if self.key is not None and self.certificate is None:
            raise ValueError("Tls(key=...) needs certificate=..., the certificate that the key belongs to")
        if self.server_name is not None and not _NAME.fullmatch(self.server_name):
            raise ValueError(
                f"Tls(server_name={self.server_name!r}): write a host name or an IP address, without a port"
            )
        if self.dangerously_accept_any_certificate and self.ca is not None:
            raise ValueError(
                "Tls(ca=..., dangerously_accept_any_certificate=True): authorities are of no use where every certificate "
                "is accepted; leave one of the two out"
            )
