"""A conformance case of each kind with TLS on both sides of the gateway: what is true without it is true with it."""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from certificates import Authority
from conformance import OK, Answers, Begins, Case, Freed, Gets, HangsUp, Leaves, Logs, Reads, Says, Sees, get, request
from conformance_gateway import build
from conformance_stage import Client, Stage
from limen.cli.tls import TlsFiles
from limen.testing import ScriptedUpstream
from serving import Served
from tls_serving import serving_tls

LARGE = b"x" * 300_000
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"


@dataclass(frozen=True)
class IsCut:
    """The client's bytes end without ``close_notify``: anybody on the way can do that."""

    async def play(self, stage: Stage) -> None:
        client = await stage.client()
        client.open = False
        # Of the descriptor, because neither loop's transport ends TCP beneath TLS.
        with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as raw:
            raw.shutdown(socket.SHUT_WR)


CASES: dict[str, Case] = {
    "kept on both sides": (
        *(Says(get(b"/svc/x")), Sees(has=(b"x-forwarded-proto: https",)), Answers(OK), Gets(200, b"ok")),
        *(Says(get(b"/svc/y")), Sees(connections=1), Answers(OK), Gets(200, b"ok")),
    ),
    "large, both ways": (
        Says(request(b"POST /svc/x", body=LARGE)),
        Sees(body=LARGE),
        Answers(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(LARGE), LARGE)),
        Gets(200, LARGE),
    ),
    "a chunk reaches the service before the next is sent": (
        Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n"),
        Sees(body=None),
        Reads(b"3\r\nabc\r\n"),
        Says(b"0\r\n\r\n"),
        Reads(b"0\r\n\r\n"),
        Answers(OK),
        Gets(200, b"ok"),
    ),
    "refused before the service": (Says(get(b"/mine")), Gets(401, code="token_missing")),
    "a service that cuts its answer without a length": (
        Says(get(b"/svc/x")),
        Sees(),
        Answers(b"HTTP/1.1 200 OK\r\n\r\nhalf"),
        HangsUp(reset=True),
        Gets(200, cut=True),
    ),
    **{
        f"a client that leaves in the midst of its {what}, {how}": (
            *steps,
            leaves,
            Freed(),
            Logs(" 499 ", "code=client_closed"),
        )
        for leaves, how in (
            (Leaves(), "in order"),
            (Leaves(reset=True), "reset"),
            (IsCut(), "without a farewell"),
        )
        for what, steps in {
            "request": (Says(request(b"POST /svc/x", b"Content-Length: 9") + b"half"), Sees(body=None), Reads(b"half")),
            "chunks": (
                *(Says(request(b"POST /svc/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n"), Sees(body=None)),
                Reads(b"3\r\nabc\r\n"),
            ),
            "answer": (Says(get(b"/svc/x")), Sees(), Answers(HALF), Begins(200)),
        }.items()
    },
}


class TlsStage(Stage):
    """Its clients speak TLS."""

    tls: ssl.SSLContext

    async def client(self, number: int = 0) -> Client:
        if number not in self._clients:
            self._clients[number] = Client(
                *await asyncio.open_connection("127.0.0.1", self.served.port, ssl=self.tls, server_hostname="localhost")
            )
        return self._clients[number]


@pytest.fixture(scope="module")
async def tls_stage(
    anyio_backend: object, engine: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[TlsStage]:
    """The gateway of all cases, served with a certificate, and believing the authority of the service's."""
    before = gc.get_threshold()
    authority = Authority(tmp_path_factory.mktemp("tls"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.path))
        patch.setattr("serving.ENGINE", engine)
        async with ScriptedUpstream(tls=authority.server()) as upstream:
            app = build(upstream.url)
            async with serving_tls(app, TlsFiles(*authority.pair("served"))) as port:
                stage = TlsStage(app, cast("Served", SimpleNamespace(port=port)), upstream, engine)
                stage.tls = authority.client()
                yield stage
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_over_tls(tls_stage: TlsStage, case: Case) -> None:
    await tls_stage.play(case)
