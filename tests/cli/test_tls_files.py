"""The files of ``limen serve --tls-certificate``: an error is one line, and no key is shown."""

import datetime
import logging
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from certificates import DAY, NOW, Authority
from limen.cli.tls import TlsFiles, server_context, warn


def encrypt(key: Path) -> None:
    """Put a passphrase on a key."""
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a passphrase"),
        )
    )


def broken(authority: Authority, how: str) -> tuple[TlsFiles, str]:
    """Return files that are broken in one way, and what has to be said of them."""
    certificate, key = authority.pair("one")
    files = TlsFiles(certificate, key)
    match how:
        case "missing certificate":
            certificate.unlink()
            return files, f"the file of the certificate, {certificate}, cannot be read: No such file or directory"
        case "missing key":
            key.unlink()
            return files, f"the file of the key, {key}, cannot be read: No such file or directory"
        case "a folder":
            return TlsFiles(certificate.parent, key), f"{certificate.parent}, cannot be read: Is a directory"
        case "mismatch":
            other = authority.pair("other")[1]
            return TlsFiles(certificate, other), f"{other} does not belong to the first certificate in {certificate}"
        case "encrypted":
            encrypt(key)
            return files, f"the key in {key} is encrypted"
        case "swapped":
            return TlsFiles(key, certificate), f"{key} holds no certificate in PEM form"
        case "no key":
            return TlsFiles(certificate), f"{certificate} holds no private key in PEM form; name the file"
        case "not a key":
            return TlsFiles(certificate, certificate), "must be the private key, not another part"
        case "damaged":
            lines = key.read_text().splitlines()
            key.write_text("\n".join([lines[0], *reversed(lines[1:-1]), lines[-1]]))
            return files, f"the certificate {certificate} and the key {key} cannot be used"
        case "expired":
            return TlsFiles(*authority.pair("old", until=-DAY)), "expired on " + (NOW - DAY).strftime("%Y-%m-%d")
        case "early":
            pair = authority.pair("early", since=DAY)
            return TlsFiles(*pair), "is not valid before " + (NOW + DAY).strftime("%Y-%m-%d")
        case "no authority":
            (empty := certificate.with_name("empty.pem")).write_text("")
            return TlsFiles(certificate, key, empty), f"{empty} holds no authority in PEM form"
        case _:
            raise NotImplementedError(how)


HOW = [
    *("missing certificate", "missing key", "a folder", "mismatch", "encrypted", "swapped", "no key", "not a key"),
    *("damaged", "expired", "early", "no authority"),
]


@pytest.mark.parametrize("how", HOW)
def test_files_that_cannot_be_served(authority: Authority, how: str) -> None:
    files, message = broken(authority, how)
    with pytest.raises(ValueError, match=r".") as caught:
        server_context(files)
    said = str(caught.value)
    assert message in said
    assert "\n" not in said
    assert "-----" not in said
    assert caught.value.__cause__ is None


def test_a_certificate_that_is_not_for_servers(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "both.pem"
    pem = serialization.Encoding.PEM
    both.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    with pytest.raises(ValueError, match=r"both\.pem cannot be served: un\w+ certificate purpose; ask its authority"):
        server_context(TlsFiles(both))


def test_one_file_may_hold_certificate_and_key(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.pair("one", "gateway.example", "10.0.0.1")
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    _, validity = server_context(TlsFiles(both))
    assert validity.names == ("gateway.example", "10.0.0.1")
    assert str(validity).startswith("certificate for gateway.example, 10.0.0.1, valid until 20")


def test_time_is_an_argument(authority: Authority) -> None:
    files = TlsFiles(*authority.pair("one", until=DAY))
    server_context(files, now=(NOW + DAY / 2).timestamp())
    with pytest.raises(ValueError, match="expired on"):
        server_context(files, now=(NOW + 2 * DAY).timestamp())


@pytest.mark.parametrize(
    ("mode", "days", "warnings"),
    [
        (0o600, 90, []),
        (0o640, 90, []),
        (0o644, 90, ["is open to others; let its owner alone have it: chmod 600"]),
        (0o660, 90, ["is open to others"]),
        (0o600, 13, ["renew it before"]),
    ],
)
def test_warnings(
    authority: Authority, caplog: pytest.LogCaptureFixture, mode: int, days: int, warnings: list[str]
) -> None:
    certificate, key = authority.pair("one", until=datetime.timedelta(days=days))
    key.chmod(mode)
    files = TlsFiles(certificate, key)
    with caplog.at_level(logging.INFO, "limen.serve"):
        warn(files, server_context(files)[1])
    info, *rest = caplog.messages
    assert info.startswith("TLS: certificate for localhost")
    assert len(rest) == len(warnings)
    for said, expected in zip(rest, warnings, strict=True):
        assert expected in said


def test_files_can_be_sent_to_another_process(authority: Authority) -> None:
    files = TlsFiles(*authority.pair("one"), client_ca=authority.path)
    assert pickle.loads(pickle.dumps(files)) == files


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["--tls-certificate", "none.crt"], 1, "TLS: the file of the certificate, none.crt, cannot be read"),
        (["--tls-certificate", "none.crt", "--workers", "2"], 1, "TLS: the file of the certificate, none.crt"),
        (["--tls-certificate", "none.crt", "--uds", "s"], 2, "--uds and --tls-certificate exclude one another"),
        (["--tls-key", "one.key"], 2, "need --tls-certificate"),
        (["--tls-client-ca", "authority.pem"], 2, "need --tls-certificate"),
        (["--tls-certificate", "x", "--tls-client-auth", "optional"], 2, "--tls-client-auth needs --tls-client-ca"),
    ],
)
def test_the_command_says_so_before_it_serves(tmp_path: Path, argv: list[str], status: int, message: str) -> None:
    command = [sys.executable, "-m", "limen", "serve", "nothing:app", *argv]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
