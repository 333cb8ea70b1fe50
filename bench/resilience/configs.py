"""Configuration files of the anchors for ``bench.resilience``, as text: one worker, three targets.

HAProxy has no timeouts of its own; its 15 s are Envoy's default for a whole request.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.configs import ENVOY_FILTERS, envoy_address

_RETRY = {
    "retry_on": "5xx,reset,connect-failure",
    "num_retries": 2,
    "per_try_timeout": "1s",
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 5,
}
_TUNED: Mapping[str, object] = {
    "lb_policy": "LEAST_REQUEST",
    "outlier_detection": {"max_ejection_percent": 50, "interval": "1s"},
}
_ALL: Mapping[str, object] = {"prefix": "/"}
_GET: Mapping[str, object] = {**_ALL, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}


def envoy(port: int, targets: Sequence[int]) -> str:
    """Return Envoy with its default outlier detection, and no retries."""
    return _envoy(port, targets, {"outlier_detection": {}}, [_route(_ALL)])


def envoy_tuned(port: int, targets: Sequence[int]) -> str:
    """Return Envoy as well as it goes. Its retries do not look at the method, so they are on a route for GET alone."""
    return _envoy(port, targets, _TUNED, [_route(_GET, retry_policy=_RETRY), _route(_ALL)])


def envoy_retrying_all(port: int, targets: Sequence[int]) -> str:
    """Return the same with one route, as a retry policy is usually written: it repeats POST too."""
    return _envoy(port, targets, _TUNED, [_route(_ALL, retry_policy=_RETRY)])


def _route(match: Mapping[str, object], **action: object) -> Mapping[str, object]:
    return {"match": match, "route": {"cluster": "service", **action}}


def _envoy(
    port: int, targets: Sequence[int], cluster: Mapping[str, object], routes: Sequence[Mapping[str, object]]
) -> str:
    manager: dict[str, Any] = {
        "@type": f"{ENVOY_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{ENVOY_FILTERS}.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    clients = {
        "name": "clients",
        "address": envoy_address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoints = [{"endpoint": {"address": envoy_address(target)}} for target in targets]
    service = {
        "name": "service",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "service", "endpoints": [{"lb_endpoints": endpoints}]},
        **cluster,
    }
    return json.dumps({"static_resources": {"listeners": [clients], "clusters": [service]}}, indent=1)


def haproxy(port: int, targets: Sequence[int]) -> str:
    """Return HAProxy with its default checks, over HTTP: a frozen process still accepts connections."""
    servers = "\n".join(f"    server target{number} 127.0.0.1:{target} check" for number, target in enumerate(targets))
    return f"""
global
    nbthread 1
defaults
    mode http
    option redispatch
    timeout connect 2s
    timeout client 15s
    timeout server 15s
frontend clients
    bind 127.0.0.1:{port} backlog 2048
    default_backend service
backend service
    option httpchk GET /health
{servers}
"""
