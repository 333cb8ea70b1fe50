"""Certificates of an authority that exists for one test, as files, and clients and servers that use them."""

import datetime
import ssl
from pathlib import Path
from typing import Any

import trustme

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """An authority of its own; ``path`` is its certificate."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.path = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.path)

    def pair(
        self, name: str, *names: str, until: datetime.timedelta = 90 * DAY, since: Any = None
    ) -> tuple[Path, Path]:
        """Write ``name``.crt and ``name``.key, for ``names`` or localhost; times count from now."""
        issued = self._authority.issue_cert(
            *(names or ("localhost", "127.0.0.1")),
            not_after=NOW + until,
            not_before=None if since is None else NOW + since,
        )
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        key.chmod(0o600)
        return certificate, key

    def server(self, *names: str, clients: bool = False, until: datetime.timedelta = 90 * DAY) -> ssl.SSLContext:
        """Return the context of a service; with ``clients``, it wants certificates of this authority from them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            *self.pair(f"server {len(list(self._folder.iterdir()))}", *(names or ("localhost",)), until=until)
        )
        if clients:
            context.load_verify_locations(self.path)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """Return the context of a client that trusts this authority, and shows ``pair`` if there is one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path)
        context.set_alpn_protocols(["h2", "http/1.1"])
        if pair is not None:
            context.load_cert_chain(*pair)
        return context
