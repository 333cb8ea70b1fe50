"""The gateways that are attacked: limen as ``limen serve`` starts it, and nginx and Envoy with the same two services behind
them, each with its log on. What is not said here is what each of them does by default.
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
class Ground:
    """Where a gateway listens, and what is behind it; ``certificate`` (and key, in one file) has it serve HTTPS."""

    port: int
    service: int
    strange: int
    folder: Path
    secret: str
    certificate: Path | None

    @property
    def env(self) -> dict[str, str]:
        """What the gateway of ``bench/gateways/under_attack.py`` reads."""
        return {
            "BENCH_UPSTREAM": f"http://127.0.0.1:{self.service}",
            "BENCH_STRANGE": f"http://127.0.0.1:{self.strange}",
            "BENCH_SECRET": self.secret,
        }


@dataclass(frozen=True, slots=True)
class Attacked:
    """One gateway. ``found`` gives its program, or None; ``own`` is ours, of which the numbers are asked."""

    name: str
    found: Callable[[], str | None]
    argv: Callable[[str, Ground], list[str]]
    env: Mapping[str, str]
    own: bool = False


def _limen(found: str, ground: Ground) -> list[str]:
    tls = [] if ground.certificate is None else ["--tls-certificate", str(ground.certificate)]
    return [found, "-m", "limen", "serve", "under_attack:app", "--port", str(ground.port), *tls]


def _nginx(found: str, ground: Ground) -> list[str]:
    path = ground.folder / "nginx.conf"
    path.write_text(nginx(ground))
    return [found, "-e", "stderr", "-c", str(path)]


def _envoy(found: str, ground: Ground) -> list[str]:
    path = ground.folder / "envoy.json"
    path.write_text(envoy(ground))
    return [found, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def nginx(ground: Ground) -> str:
    """Return the configuration of one worker."""
    folder, pem = ground.folder, ground.certificate
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
    upstream service {{ server 127.0.0.1:{ground.service}; keepalive 128; }}
    upstream strange {{ server 127.0.0.1:{ground.strange}; keepalive 128; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{ground.port} backlog=2048{" ssl" if tls else ""};
        {tls}
        location / {{ proxy_pass http://service; }}
        location /strange/ {{ proxy_pass http://strange; }}
        location /strange/upload {{ proxy_pass http://strange; proxy_request_buffering off; client_max_body_size 0; }}
    }}
}}
"""


def envoy(ground: Ground) -> str:
    """Return a proxy with JWTs verified; buffers and times as its manual advises for an edge."""
    key = base64.urlsafe_b64encode(ground.secret.encode()).decode().rstrip("=")
    keys = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": key}]})
    guarded = ("/mine", "/strange/mine", "/strange/guarded")
    authn = {
        "@type": f"{_TYPE}.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"bench": {"local_jwks": {"inline_string": keys}}},
        "rules": [{"match": {"prefix": path}, "requires": {"provider_name": "bench"}} for path in guarded],
    }
    routes = [
        {"match": {"prefix": prefix}, "route": {"cluster": name}}
        for prefix, name in (("/strange/", "strange"), ("/", "service"))
    ]
    log = {"@type": f"{_TYPE}.access_loggers.file.v3.FileAccessLog", "path": str(ground.folder / "access.log")}
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
    if ground.certificate is not None:
        file = {"filename": str(ground.certificate)}
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{"certificate_chain": file, "private_key": file}]},
            },
        }
    listener = {
        "name": "clients",
        "address": _address(ground.port),
        "per_connection_buffer_limit_bytes": 32768,
        "filter_chains": [chain],
    }
    clusters = [_cluster("service", ground.service), _cluster("strange", ground.strange)]
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
    """Write a certificate for localhost and its key into ``path``, valid today."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=60))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(0o600)
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


_PATH = (str(GATEWAYS), *filter(None, (os.environ.get("PYTHONPATH"),)))
GATEWAY = (
    Attacked("limen", lambda: sys.executable, _limen, {"PYTHONPATH": os.pathsep.join(_PATH)}, own=True),
    Attacked(
        "limen compiled",
        lambda: sys.executable if COMPILED.is_dir() else None,
        _limen,
        {"PYTHONPATH": os.pathsep.join((str(COMPILED), *_PATH))},
        own=True,
    ),
    Attacked("nginx", program("nginx"), _nginx, {}),
    Attacked("Envoy", program("envoy"), _envoy, {}),
)
"""The gateways, limen as its sources are first."""
