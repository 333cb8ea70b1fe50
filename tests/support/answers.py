"""Answers of services as bytes, with what they mean: the cases that the wire tests feed in every possible way."""

from dataclasses import dataclass

from limen.http.headers import Headers

LIMIT = 4096
"""The bound on heads under which the long ones here are too long."""


@dataclass(frozen=True)
class Good:
    """An answer that is whole with its last byte."""

    answer: bytes
    status: int = 200
    content: bytes = b""
    method: bytes = b"GET"
    reused: bool = True
    headers: Headers | None = None


GOOD = {
    "content-length": Good(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", content=b"ok"),
    "empty": Good(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    "no reason": Good(b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok", content=b"ok"),
    "chunked": Good(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        content=b"ab0123456789",
    ),
    "trailers": Good(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nset-cookie: evil=1\r\n\r\n",
        content=b"a",
        headers=[(b"transfer-encoding", b"chunked")],
    ),
    "close asked": Good(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", content=b"ok", reused=False
    ),
    "1.0": Good(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", content=b"ok", reused=False),
    "1.0 kept": Good(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", content=b"ok"),
    "204": Good(b"HTTP/1.1 204 No Content\r\n\r\n", status=204),
    "204 with a length": Good(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", status=204),
    "304": Good(b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", status=304),
    "304 with a length": Good(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", status=304),
    "304 chunked": Good(b"HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n", status=304),
    "HEAD with a length": Good(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", method=b"HEAD"),
    "HEAD chunked": Good(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", method=b"HEAD"),
    "1xx, then final": Good(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        content=b"ok",
        headers=[(b"content-length", b"2")],
    ),
    "repeats, in order": Good(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nx: \xff\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n",
        headers=[(b"set-cookie", b"a=1"), (b"x", b"\xff"), (b"set-cookie", b"b=2"), (b"content-length", b"0")],
    ),
    "an upgrade offered, not made": Good(
        b"HTTP/1.1 200 OK\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nok", content=b"ok"
    ),
}

OK = b"HTTP/1.1 200 OK\r\n"
BAD = {
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxy",
    "two equal lengths": OK + b"content-length: 1\r\ncontent-length: 1\r\n\r\nx",
    "a list of lengths": OK + b"content-length: 1, 1\r\n\r\nx",
    "a signed length": OK + b"content-length: +1\r\n\r\nx",
    "no length": OK + b"content-length: \r\n\r\nx",
    "length and coding": OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
    "another coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two codings": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": OK + b"transfer-encoding: identity\r\n\r\nx",
    "a bad chunk size": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "a bad chunk end": OK + b"transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "an endless chunk size": OK + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "a bare LF chunk": OK + b"transfer-encoding: chunked\r\n\r\n1\na\n0\n\n",
    "101": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "bare 101": b"HTTP/1.1 101 Switching\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another HTTP": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a folded line": OK + b"x: y\r\n z\r\ncontent-length: 0\r\n\r\n",
    "a space before the colon": OK + b"content-length : 1\r\n\r\nx",
    "no name": OK + b": 1\r\ncontent-length: 0\r\n\r\n",
    "a NUL": OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "a bare CR": OK + b"x: a\rb\r\ncontent-length: 0\r\n\r\n",
    "a long head": OK + b"x: " + b"y" * LIMIT + b"\r\ncontent-length: 0\r\n\r\n",
    "a long head of short lines": OK + b"x: y\r\n" * (LIMIT // 6) + b"content-length: 0\r\n\r\n",
    "a long reason": b"HTTP/1.1 200 " + b"O" * LIMIT + b"\r\ncontent-length: 0\r\n\r\n",
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 17 + OK + b"content-length: 0\r\n\r\n",
    "content in an interim answer": b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\nno" + OK + b"\r\n",
}

SHORT = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
    "half a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    "no last chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "interim only": b"HTTP/1.1 100 Continue\r\n\r\n",
}
