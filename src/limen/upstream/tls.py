"""TLS towards upstreams, and the loading of PEM files for both sides.

Mistakes in the files are put into words here, so that nobody has to understand OpenSSL's messages. No key is ever shown.
``TlsConnection`` says why a connection over TLS is a class of its own.
"""

import logging
import ssl
from pathlib import Path

from limen.errors import Fault, Kind, ProxyError
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.target import Target

_log = logging.getLogger("limen.upstream")

ALPN = ["http/1.1"]


class TlsConnection(Connection):
    """A connection that ends with TLS's ``close_notify``.

    Anybody on the path can send the FIN that ends a TCP connection; only the peer can send ``close_notify``. A
    close-delimited answer is complete only with the latter (RFC 9112 section 9.8). asyncio and uvloop report both alike.
    """

    def eof_received(self) -> bool:
        """Let the transport close; a close-delimited answer is complete only after ``close_notify``."""
        return super().eof_received() if self._close_notify_received() else False

    def _close_notify_received(self) -> bool:
        transport = self._transport
        session: ssl.SSLObject | None = None if transport is None else transport.get_extra_info("ssl_object")
        if session is None:
            return False
        try:
            return session.read(1) == b""
        except ssl.SSLZeroReturnError:  # and the transport has replied with its own
            return True
        except ssl.SSLError:  # OpenSSL wants to read more: the stream was cut
            return False


def client_context(upstream: Upstream) -> ssl.SSLContext | None:
    """Return the context for the targets of ``upstream`` that speak TLS; None if there are none.

    Raises ValueError for a file that cannot be used.
    """
    if not any(target.tls for target in upstream.addresses):
        return None
    tls = upstream.tls
    # Not ssl.create_default_context: that one writes session keys wherever the environment says (SSLKEYLOGFILE).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    if tls is not None and tls.dangerously_accept_any_certificate:
        _log.warning(
            "upstream %s: no certificate is verified (dangerously_accept_any_certificate); anybody on the way can read and "
            "change what passes",
            upstream.name,
        )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls is not None and tls.ca is not None:
        load_authorities(context, Path(tls.ca))
    else:
        context.load_default_certs()
    if tls is not None and tls.certificate is not None:
        load_key_pair(context, Path(tls.certificate), None if tls.key is None else Path(tls.key))
    return context


def server_name(upstream: Upstream, target: Target) -> str:
    """Return the name that the certificate of ``target`` must be for."""
    if upstream.tls is not None and upstream.tls.server_name is not None:
        return upstream.tls.server_name
    return target.host.rstrip(".")  # the root's dot is the resolver's, not the certificate's


def handshake_fault(target: Target, error: ssl.SSLError) -> Fault:
    """Return the fault for a failed handshake: the target is not down, but cannot be trusted."""
    cause = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error.reason or error)
    why: ProxyError | None = None
    if isinstance(error, ssl.SSLCertVerificationError):
        why = "tls_certificate_error"
    elif "_ALERT_" in (error.reason or ""):
        why = "tls_alert_received"
    return Fault(Kind.UPSTREAM_TLS, cause=f"TLS with {target}: {type(error).__name__}: {cause}", proxy_error=why)


# --- files ---


class _PassphraseRequired(Exception):
    """OpenSSL asked for a passphrase."""


def load_key_pair(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Load a certificate, its intermediates and its key; raises ValueError that says which file to mend, and how."""
    chain = _read("certificate", certificate)
    if b"-----BEGIN CERTIFICATE-----" not in chain:
        raise ValueError(
            f"{certificate} holds no certificate in PEM form; it must begin with its own, then intermediates"
        )
    key_file = key or certificate
    if b"PRIVATE KEY-----" not in _read("key", key_file):
        mend = (
            "name the file of the private key" if key is None else "that file must be the private key, not another part"
        )
        raise ValueError(f"{key_file} holds no private key in PEM form; {mend}")
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except _PassphraseRequired:
        raise ValueError(
            f"the key in {key_file} is encrypted, and nobody is there to be asked for its passphrase; write it without one "
            f"(openssl pkey -in {key_file} -out FILE) to a file that only its owner can read"
        ) from None
    except ssl.SSLError as error:
        reason = error.reason or "unknown reason"
        if "MISMATCH" in reason:
            raise ValueError(
                f"the key in {key_file} does not belong to the first certificate in {certificate}; give the two that were "
                "made together, and put the server's own certificate before its intermediates"
            ) from None
        raise ValueError(
            f"the certificate {certificate} and the key {key_file} cannot be used: {reason}; "
            "try each with: openssl x509 -noout -text -in, openssl pkey -noout -in"
        ) from None


def load_authorities(context: ssl.SSLContext, path: Path) -> None:
    """Trust also the authorities in a PEM file; raises ValueError that says what to mend."""
    _read("authorities", path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError(
            f"{path} holds no authority in PEM form ({error.reason}); it must hold one certificate or several"
        ) from None


def _read(what: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"the file of the {what}, {path}, cannot be read: {error.strerror or error}; "
            "check the path, and that the user who runs this may read it"
        ) from None


def _refuse_passphrase() -> str:
    raise _PassphraseRequired
