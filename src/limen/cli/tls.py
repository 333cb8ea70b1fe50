"""TLS towards clients: from the files that ``limen serve`` is given to a context, and the news that they have changed.

Nothing of sockets lives here: ``limen.cli.server`` listens with the context, and with the next one. Why files are looked at
instead of watched, and why a context is never changed but replaced, is in docs/tls.md.
"""

import logging
import ssl
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from limen.upstream.tls import ALPN, load_authorities, load_key_pair
from limen.upstream.tls_context import FileStamp, file_stamp

logger = logging.getLogger("limen.serve")

# TLS 1.2: forward secrecy and authenticated encryption only; those of TLS 1.3 have both and need no choice.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name: the dates are ours to judge, and to put into words.
_ANY_TIME = 0x200000

# Seconds before its end from which a certificate that is loaded is worth a warning: long enough to mend it in office hours.
_SOON = 14 * 86400


@dataclass(frozen=True)
class Files:
    """What is served, as PEM files; ``client_ca`` are the authorities of client certificates, None to ask for none.

    Without ``key``, the file of the certificate holds both.
    """

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None
    client_auth: str = "required"


@dataclass(frozen=True)
class Validity:
    """What the server's own certificate says: ``names`` for people, times in seconds since the epoch."""

    names: tuple[str, ...]
    since: float
    until: float

    def __str__(self) -> str:
        """Show names and end."""
        return f"certificate for {', '.join(self.names) or 'no name'}, valid until {_day(self.until)}"


def server_context(files: Files, *, now: float | None = None) -> tuple[ssl.SSLContext, Validity]:
    """Return a context that serves ``files``, and what its certificate says.

    ``now`` is in seconds since the epoch. Raises ValueError for whatever would make each handshake fail, saying what to mend.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(ALPN)
    load_key_pair(context, files.certificate, files.key)
    validity = _rehearse(context, files.certificate)
    when = time.time() if now is None else now
    if when >= validity.until:
        raise ValueError(f"the certificate {files.certificate} expired on {_day(validity.until)}; renew it")
    if when < validity.since:
        raise ValueError(
            f"the certificate {files.certificate} is not valid before {_day(validity.since)}; "
            "wait, or check this machine's clock"
        )
    if files.client_ca is not None:
        load_authorities(context, files.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL if files.client_auth == "optional" else ssl.CERT_REQUIRED
    return context, validity


def context_for_uvicorn(files: Files, config: object, default: object) -> ssl.SSLContext:
    """Return the context where uvicorn asks for one; it can be pickled, as the processes of ``--reload`` need."""
    del config, default
    return server_context(files)[0]


def warn(files: Files, validity: Validity, *, now: float | None = None) -> None:
    """Log what is served, and what will or may go wrong with it."""
    logger.info("TLS: %s", validity)
    if validity.until - (time.time() if now is None else now) < _SOON:
        logger.warning("TLS: %s ends on %s; renew it before", files.certificate, _day(validity.until))
    holder = files.key or files.certificate
    try:
        mode = holder.stat().st_mode
    except OSError:  # replaced at this very moment: it will be looked at again
        return
    # A group may read it: that is how systems let several servers have one key.
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        logger.warning(
            "TLS: the key in %s is open to others; let its owner alone have it: chmod 600 %s", holder, holder
        )


class Renewal:
    """Tells when the files have changed, and makes the context that follows."""

    def __init__(self, files: Files) -> None:
        """Take ``files`` as they are now for those that are served."""
        self.files = files
        self._known = self._seen = self._stamp()

    def due(self) -> bool:
        """Look at the files; True once they differ from those last read and have been at rest since the look before.

        A certificate and its key are written one after the other: between the two they do not fit.
        """
        before, self._seen = self._seen, self._stamp()
        return self._seen == before and self._seen != self._known

    def context(self) -> tuple[ssl.SSLContext, Validity] | None:
        """Read the files anew; what cannot be served is logged, and None says that what is served stays."""
        self._known = self._seen = self._stamp()
        try:
            return server_context(self.files)
        except ValueError as error:
            # The trace would only show our own checks.
            logger.error("TLS: not renewed, what was served before stays: %s", error)  # noqa: TRY400
            return None

    def _stamp(self) -> tuple[FileStamp, ...]:
        files = (self.files.certificate, self.files.key, self.files.client_ca)
        return tuple(file_stamp(path) for path in files if path is not None)


def _rehearse(context: ssl.SSLContext, certificate: Path) -> Validity:
    """Shake hands with ourselves, in memory: what OpenSSL would refuse to each client is found before the first."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_ANY_TIME)
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    try:
        for side in (theirs, ours, theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLError as error:
        why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason or "refused"
        raise ValueError(
            f"the certificate {certificate} cannot be served: {why}; ask its authority for one for TLS servers"
        ) from None
    # Verified, thus never None or empty.
    said = cast("dict[str, Any]", theirs.getpeercert())
    names = tuple(value for _, value in said.get("subjectAltName", ()))
    return Validity(names, ssl.cert_time_to_seconds(said["notBefore"]), ssl.cert_time_to_seconds(said["notAfter"]))


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
