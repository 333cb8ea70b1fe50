"""The scenarios, as data. To add one, add a line to ``SCENARIOS``; a new path must be routed by the gateways."""

import json
from dataclasses import dataclass
from typing import Literal

Kind = Literal["public", "admin", "post", "download", "upload", "after"]
"""The work that a gateway has to do for a request; ``Peer.work`` describes what each one does."""

MiB = 1024 * 1024
LARGE = MiB
UPLOAD = 64 * MiB
HUGE = 1024 * MiB

# 120 bytes, the size of a small row: so the cost of a request is measured, not that of its bytes.
ITEM = (
    b'{"id":1,"name":"Ada Lovelace","address":"12 St James Square, London","created_by":1,'
    b'"created_at":"2026-11-25T12:00"}    '
)
assert len(ITEM) == 120

_FORM = {"name": "Ada Lovelace", "quantity": 3, "price": 9.5, "tags": ["one", "two"], "urgent": False, "note": ""}
FORM = json.dumps(_FORM | {"note": "x" * (1024 - len(json.dumps(_FORM)))}).encode()
assert len(FORM) == 1024

# "limen direct" and "limen asgi" are the compiled wheel; "limen interpreted" is the direct engine as pure Python.
_LIMEN = ("limen direct", "limen asgi", "limen interpreted")
_FOR_SCALING = (*_LIMEN, "nginx", "Envoy")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load. ``peers`` None is all; ``peak_share`` paces the load at that part of what the first peer can do.

    ``compared_with`` names the scenario in front of it with which it is compared: the two take turns.
    """

    name: str
    title: str
    kind: Kind = "admin"
    method: str = "GET"
    path: str = "/api/admin"
    body: int | bytes = b""
    connections: int = 32
    routes: int = 10
    peak_share: float | None = None
    peers: tuple[str, ...] | None = None
    compared_with: str | None = None

    @property
    def token(self) -> bool:
        """Whether the load sends a token of an admin."""
        return self.kind == "admin"


SCENARIOS = (
    Scenario("public", "public GET, 120 B", "public", path="/api/items"),
    Scenario("admin", "authenticated, admin-only GET, 120 B"),
    Scenario("post", "POST of 1 KiB JSON, validated", "post", "POST", "/api/items", FORM),
    Scenario("download", "answer of 1 MiB", "download", path="/api/large", connections=8),
    Scenario("upload", "upload of 64 MiB", "upload", "POST", "/api/upload", UPLOAD, connections=2),
    Scenario(
        "after", "GET whose answer a hook rewrites", "after", path="/api/after", peers=(*_LIMEN, "nginx", "Envoy")
    ),
    Scenario("routes-10", "admin-only GET, 10 routes", path="/api/r9/1/items", peers=_LIMEN),
    Scenario(
        "routes-10000",
        "admin-only GET, 10,000 routes",
        path="/api/r9999/1/items",
        routes=10_000,
        peers=_LIMEN,
        compared_with="routes-10",
    ),
    Scenario("connections-1", "admin-only GET, 1 connection", connections=1, peers=_FOR_SCALING),
    Scenario("connections-64", "admin-only GET, 64 connections", connections=64, peers=_FOR_SCALING),
    Scenario("connections-512", "admin-only GET, 512 connections", connections=512, peers=_FOR_SCALING),
    Scenario("half", "admin-only GET at half of limen's peak", peak_share=0.5, peers=(*_FOR_SCALING, "HAProxy")),
)
