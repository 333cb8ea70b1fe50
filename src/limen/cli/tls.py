"""TLS towards clients: the context for the files of ``limen serve``, and its reload when they change.

No sockets here: ``limen.cli.server`` uses the context, and the next one. docs/tls.md says why files are polled instead of
watched, and why a context is never changed but replaced.
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

# For TLS 1.2: forward secrecy and authenticated encryption only; all suites of TLS 1.3 have both.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name. The dates are checked here, with better messages.
_NO_CHECK_TIME = 0x200000

# A certificate that is loaded less than so many seconds before its end is logged as a warning.
_EXPIRES_SOON = 14 * 86400


@dataclass(frozen=True)
class TlsFiles:
    """The PEM files to serve with; ``client_ca`` are the authorities of client certificates, None to ask for none.

    Without ``key``, the file of the certificate holds both.
    """

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None
    client_auth: str = "required"


@dataclass(frozen=True)
class Validity:
    """Names and dates of the server's certificate; times are in seconds since the epoch."""

    names: tuple[str, ...]
    since: float
    until: float

    def __str__(self) -> str:
        """Show names and end."""
        return f"certificate for {', '.join(self.names) or 'no name'}, valid until {_day(self.until)}"


def server_context(files: TlsFiles, *, now: float | None = None) -> tuple[ssl.SSLContext, Validity]:
    """Return a context that serves ``files``, and the validity of its certificate.

    ``now`` is in seconds since the epoch. Raises ValueError for anything that would make every handshake fail; the message
    says what to mend.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(ALPN)
    load_key_pair(context, files.certificate, files.key)
    validity = _try_handshake(context, files.certificate)
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


def context_for_uvicorn(files: TlsFiles, config: object, default: object) -> ssl.SSLContext:
    """Return the context: uvicorn's ``ssl_context_factory``. A function of a module, because ``--reload`` pickles it."""
    del config, default
    return server_context(files)[0]


def warn(files: TlsFiles, validity: Validity, *, now: float | None = None) -> None:
    """Log the certificate, and warnings about its end and the permissions of its key."""
    logger.info("TLS: %s", validity)
    if validity.until - (time.time() if now is None else now) < _EXPIRES_SOON:
        logger.warning("TLS: %s ends on %s; renew it before", files.certificate, _day(validity.until))
    key_file = files.key or files.certificate
    try:
        mode = key_file.stat().st_mode
    except OSError:  # replaced at this very moment: it will be checked again
        return
    # A group may read it, so that several servers can share one key.
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        logger.warning(
            "TLS: the key in %s is open to others; let its owner alone have it: chmod 600 %s", key_file, key_file
        )


class CertificateReloader:
    """Detects that the files have changed, and loads the next context."""

    def __init__(self, files: TlsFiles) -> None:
        """``files`` are served as they are now."""
        self.files = files
        self._loaded = self._last = self._stamps()

    def due(self) -> bool:
        """Check the files; True once they differ from the loaded ones and have not changed since the last check.

        A certificate and its key are written one after the other: in between they do not fit.
        """
        before, self._last = self._last, self._stamps()
        return self._last == before and self._last != self._loaded

    def load(self) -> tuple[ssl.SSLContext, Validity] | None:
        """Load the files. A failure is logged, and None means that the current context stays."""
        self._loaded = self._last = self._stamps()
        try:
            return server_context(self.files)
        except ValueError as error:
            # The traceback would only show our own checks.
            logger.error("TLS: not renewed, what was served before stays: %s", error)  # noqa: TRY400 - the text says it all
            return None

    def _stamps(self) -> tuple[FileStamp, ...]:
        files = (self.files.certificate, self.files.key, self.files.client_ca)
        return tuple(file_stamp(path) for path in files if path is not None)


def _try_handshake(context: ssl.SSLContext, certificate: Path) -> Validity:
    """Do a handshake in memory, which finds what OpenSSL would refuse to every client."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server)
    try:
        for side in (client_side, server_side, client_side, server_side):
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
    fields = cast("dict[str, Any]", client_side.getpeercert())
    names = tuple(value for _, value in fields.get("subjectAltName", ()))
    return Validity(names, ssl.cert_time_to_seconds(fields["notBefore"]), ssl.cert_time_to_seconds(fields["notAfter"]))


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
