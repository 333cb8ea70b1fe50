"""Small requests over HTTP with the standard library, in a thread. Bytes and time are bounded.

Each request has a connection of its own, which ends with it: whoever asks often pays for that, and nobody has a pool of
connections to look after.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

MAX_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its content: at most 256 KiB."""

    status: int
    content: bytes


async def fetch(url: str, timeout: float) -> bytes:
    """Return the content of a GET of ``url``, which must answer 200. The rest is as in ``call``."""
    answer = await call("GET", url, timeout, headers={"accept": "application/jwk-set+json, application/json"})
    if answer.status != 200:
        raise ValueError(f"the answer is {answer.status}, not 200")
    return answer.content


async def call(
    method: str,
    url: str,
    timeout: float,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    executor: Executor | None = None,
) -> Answer:
    """Return the answer of ``url``, whatever its status. Follows no redirect, uses no proxy.

    ``timeout`` is in seconds, and counts from now on: with the wait for a thread of ``executor``, by default the loop's.
    Raises OSError (TimeoutError after ``timeout`` seconds in all) or ValueError, when the answer is no HTTP or too large.
    """
    request = _Request(method, url, timeout, headers or {}, content)
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.get_running_loop().run_in_executor(executor, request.run)
    except TimeoutError:
        raise TimeoutError(f"no whole answer within {timeout:g} seconds") from None
    finally:
        request.stop()


def checked_address(name: str, url: str) -> str:
    """Return ``url``, the value of the setting ``name``; raises ValueError for an address that can never be asked.

    The message does not repeat the address, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message repeats what it took for a port, which may be the beginning of a password
        raise ValueError(f"{name} is no address: it has no valid host and port") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name}: the address needs no user and no password; leave them out")
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.query or parts.fragment:
        raise ValueError(f"{name} must be like http://gateway:8000, without a query")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{name}: an address has no blanks, and only ASCII")
    return url.rstrip("/")


class _Request:
    """One request. ``stop`` ends it from another thread: a socket's own timeout is per read, which slow bytes evade."""

    def __init__(
        self, method: str, url: str, timeout: float, headers: Mapping[str, str], content: bytes | None
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._method = method
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {**headers, "connection": "close"}
        self._content = content
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            self._connection = HTTPConnection(host, parts.port, timeout=timeout)
        self._socket: socket.socket | None = None
        self._stopped = False

    def run(self) -> Answer:
        try:
            if not self._stopped:
                self._connection.connect()
            self._socket = self._connection.sock
            if self._stopped:
                raise TimeoutError("stopped")
            self._connection.request(self._method, self._target, self._content, self._headers)
            with self._connection.getresponse() as response:
                content = response.read(MAX_BYTES + 1)
                missing = response.length  # a read of so many bytes raises nothing when the connection ends early
        except HTTPException as error:
            raise ValueError(f"the answer is no HTTP ({type(error).__name__})") from None
        finally:
            self._connection.close()
        if len(content) > MAX_BYTES:
            raise ValueError(f"the answer is larger than {MAX_BYTES} bytes")
        if missing:
            raise ValueError(f"the answer ends {missing} bytes early")
        return Answer(response.status, content)

    def stop(self) -> None:
        self._stopped = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
