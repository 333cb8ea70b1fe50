"""Configuration files of the native gateways, as text. Each has one worker and keeps its connections to the service alive.

nginx and Envoy write an access log to a file, as limen does; the others write none.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.scenarios import HUGE, ITEM, LARGE


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a gateway listens, the port of its upstream, and whether it checks tokens. ``folder`` is for its files."""

    port: int
    upstream: int
    folder: Path
    secret: str
    routes: int
    token: bool


def nginx(setup: Setup) -> str:
    """Return a bare proxy; bodies stream, as they do through the others."""
    return _nginx(
        setup.folder,
        f"""
    upstream service {{ server 127.0.0.1:{setup.upstream}; keepalive 1024; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{setup.port} backlog=2048;
        location / {{
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
        }}
    }}""",
        log=str(setup.folder / "access.log"),
    )


def service(port: int, folder: Path) -> str:
    """Return nginx as the service behind every gateway: canned responses, request bodies discarded."""
    for name, size in (("large", LARGE), ("huge", HUGE)):
        with (folder / name).open("wb") as file:
            file.truncate(size)  # sparse: a GiB that takes no room
    return _nginx(
        folder,
        f"""
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        default_type application/json;
        location / {{ return 200 '{ITEM.decode()}'; }}
        location = /api/large {{ alias {folder / "large"}; }}
        location = /api/huge {{ alias {folder / "huge"}; }}
    }}""",
    )


def _nginx(folder: Path, servers: str, *, log: str = "off") -> str:
    return f"""
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log {log};
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


def haproxy(setup: Setup) -> str:
    """Return a bare proxy."""
    return f"""
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 2s
    timeout client 600s
    timeout server 600s
frontend clients
    bind 127.0.0.1:{setup.port} backlog 2048
    default_backend service
backend service
    server one 127.0.0.1:{setup.upstream} pool-max-conn -1
"""


def caddy(setup: Setup) -> str:
    """Return a bare proxy."""
    return f"""
{{
    admin off
    auto_https off
    persist_config off
    log {{
        level ERROR
    }}
}}
http://127.0.0.1:{setup.port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{setup.upstream} {{
        transport http {{
            keepalive_idle_conns_per_host 1024
        }}
    }}
}}
"""


ENVOY_FILTERS = "type.googleapis.com/envoy.extensions.filters"
ACCESS_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


def envoy(setup: Setup) -> str:
    """Return a proxy; where a token is required, with jwt_authn (verified tokens cached), RBAC and claims as headers."""
    return _envoy(setup, {"jwt_cache_config": {"jwt_cache_size": 4096}})


def envoy_without_cache(setup: Setup) -> str:
    """Return the same with the default jwt_authn, which verifies the token of every request."""
    return _envoy(setup, {})


def _envoy(setup: Setup, cache: Mapping[str, object]) -> str:
    filters: list[object] = _envoy_auth_filters(setup.secret, cache) if setup.token else []
    filters.append({"name": "router", "typed_config": {"@type": f"{ENVOY_FILTERS}.http.router.v3.Router"}})
    route = {"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "600s"}}
    log = {"@type": ACCESS_LOG, "path": str(setup.folder / "access.log")}
    manager = {
        "@type": f"{ENVOY_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "access_log": [{"name": "file", "typed_config": log}],
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    limits = {"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}
    cluster = {
        "name": "service",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "service",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": envoy_address(setup.upstream)}}]}],
        },
    }
    listener = {
        "name": "clients",
        "address": envoy_address(setup.port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}, indent=1)


def envoy_address(port: int) -> object:
    """Return a port of this machine as Envoy writes it."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _envoy_auth_filters(secret: str, cache: Mapping[str, object]) -> list[object]:
    key = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
    provider = {
        "local_jwks": {"inline_string": json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": key}]})},
        "payload_in_metadata": "claims",
        "claim_to_headers": [
            {"header_name": "request-user-id", "claim_name": "id"},
            {"header_name": "request-user-role", "claim_name": "user_type"},
        ],
        **cache,
    }
    authn = {
        "@type": f"{ENVOY_FILTERS}.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"bench": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
    }
    admin = {
        "metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "claims"}, {"key": "user_type"}],
            "value": {"string_match": {"exact": "admin"}},
        }
    }
    rbac = {
        "@type": f"{ENVOY_FILTERS}.http.rbac.v3.RBAC",
        "rules": {"policies": {"admins": {"permissions": [{"any": True}], "principals": [admin]}}},
    }
    return [
        {"name": "envoy.filters.http.jwt_authn", "typed_config": authn},
        {"name": "envoy.filters.http.rbac", "typed_config": rbac},
    ]
