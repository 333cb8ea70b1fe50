"""The gateways that are attacked: limen as ``limen serve`` starts it, and nginx and Envoy with the same two services, each
with its access log on. All other settings are the defaults of each gateway.
"""

import base64
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.peers import COMPILED, GATEWAYS, program

_TYPE = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True, slots=True)
class GatewaySetup:
    """The ports of a gateway and its two services; with ``certificate`` (and key, in one file) it serves HTTPS."""

    port: int
    service: int
    hostile: int
    folder: Path
    secret: str
    certificate: Path | None

    @property
    def env(self) -> dict[str, str]:
        """The environment of ``bench/gateways/limen_attacks.py``."""
        return {
            "BENCH_UPSTREAM": f"http://127.0.0.1:{self.service}",
            "BENCH_HOSTILE": f"http://127.0.0.1:{self.hostile}",
            "BENCH_SECRET": self.secret,
        }


@dataclass(frozen=True, slots=True)
class AttackedGateway:
    """One gateway. ``program_path`` returns None if it is not installed; only rows with ``is_limen`` get a verdict."""

    name: str
    program_path: Callable[[], str | None]
    argv: Callable[[str, GatewaySetup], list[str]]
    env: Mapping[str, str]
    is_limen: bool = False


def _limen(program_path: str, setup: GatewaySetup) -> list[str]:
    tls = [] if setup.certificate is None else ["--tls-certificate", str(setup.certificate)]
    return [program_path, "-m", "limen", "serve", "limen_attacks:app", "--port", str(setup.port), *tls]


def _nginx(program_path: str, setup: GatewaySetup) -> list[str]:
    path = setup.folder / "nginx.conf"
    path.write_text(nginx(setup))
    return [program_path, "-e", "stderr", "-c", str(path)]


def _envoy(program_path: str, setup: GatewaySetup) -> list[str]:
    path = setup.folder / "envoy.json"
    path.write_text(envoy(setup))
    return [program_path, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def nginx(setup: GatewaySetup) -> str:
    """Return the configuration of one worker."""
    folder, pem = setup.folder, setup.certificate
    tls = "" if pem is None else f"ssl_certificate {pem}; ssl_certificate_key {pem};"
    temporary = "\n".join(
        f"    {name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log;
{temporary}
    upstream service {{ server 127.0.0.1:{setup.service}; keepalive 128; }}
    upstream hostile {{ server 127.0.0.1:{setup.hostile}; keepalive 128; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{setup.port} backlog=2048{" ssl" if tls else ""};
        {tls}
        location / {{ proxy_pass http://service; }}
        location /hostile/ {{ proxy_pass http://hostile; }}
        location /hostile/upload {{ proxy_pass http://hostile; proxy_request_buffering off; client_max_body_size 0; }}
    }}
}}
"""


def envoy(setup: GatewaySetup) -> str:
    """Return a proxy that verifies JWTs; buffers and timeouts as Envoy's manual recommends for an edge proxy."""
    key = base64.urlsafe_b64encode(setup.secret.encode()).decode().rstrip("=")
    keys = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": key}]})
    protected_paths = ("/mine", "/hostile/mine", "/hostile/guarded")
    authn = {
        "@type": f"{_TYPE}.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"bench": {"local_jwks": {"inline_string": keys}}},
        "rules": [{"match": {"prefix": path}, "requires": {"provider_name": "bench"}} for path in protected_paths],
    }
    routes = [
        {"match": {"prefix": prefix}, "route": {"cluster": name}}
        for prefix, name in (("/hostile/", "hostile"), ("/", "service"))
    ]
    log = {"@type": f"{_TYPE}.access_loggers.file.v3.FileAccessLog", "path": str(setup.folder / "access.log")}
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "access_log": [{"name": "file", "typed_config": log}],
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "300s",
        "http_filters": [
            {"name": "jwt", "typed_config": authn},
            {"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    chain: dict[str, object] = {"filters": [{"name": "http", "typed_config": manager}]}
    if setup.certificate is not None:
        file = {"filename": str(setup.certificate)}
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{"certificate_chain": file, "private_key": file}]},
            },
        }
    listener = {
        "name": "clients",
        "address": _address(setup.port),
        "per_connection_buffer_limit_bytes": 32768,
        "filter_chains": [chain],
    }
    clusters = [_cluster("service", setup.service), _cluster("hostile", setup.hostile)]
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}, indent=1)


def _cluster(name: str, port: int) -> object:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _address(port: int) -> object:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def certificate(path: Path) -> Path:
    """Write a certificate for localhost and its key into ``path``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=60))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(0o600)
    path.write_bytes(signed.public_bytes(pem) + secret)
    return path


_PATH = (str(GATEWAYS), *filter(None, (os.environ.get("PYTHONPATH"),)))
ATTACKED_GATEWAYS = (
    AttackedGateway("limen", lambda: sys.executable, _limen, {"PYTHONPATH": os.pathsep.join(_PATH)}, is_limen=True),
    AttackedGateway(
        "limen compiled",
        lambda: sys.executable if COMPILED.is_dir() else None,
        _limen,
        {"PYTHONPATH": os.pathsep.join((str(COMPILED), *_PATH))},
        is_limen=True,
    ),
    AttackedGateway("nginx", program("nginx"), _nginx, {}),
    AttackedGateway("Envoy", program("envoy"), _envoy, {}),
)
"""The gateways; the first is limen, interpreted from its sources."""
