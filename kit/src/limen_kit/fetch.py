"""Fetches a small document over HTTP with the standard library, in a thread. Bytes and time are bounded."""

import asyncio
import socket
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

MAX_BYTES = 262_144


async def fetch(url: str, timeout: float) -> bytes:
    """Return the content of a GET of ``url``, which must answer 200 with at most 256 KiB. Follows no redirect, uses no proxy.

    Raises OSError (TimeoutError after ``timeout`` seconds in all) or ValueError.
    """
    request = _Request(url, timeout)
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.to_thread(request.run)
    except TimeoutError:
        raise TimeoutError(f"no whole answer within {timeout:g} seconds") from None
    finally:
        request.stop()


class _Request:
    """One request. ``stop`` ends it from another thread: a socket's own timeout is per read, which slow bytes evade."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            self._connection = HTTPConnection(host, parts.port, timeout=timeout)
        self._socket: socket.socket | None = None
        self._stopped = False

    def run(self) -> bytes:
        try:
            self._connection.connect()
            self._socket = self._connection.sock
            if self._stopped:
                raise TimeoutError("stopped")
            headers = {"accept": "application/jwk-set+json, application/json", "connection": "close"}
            self._connection.request("GET", self._target, headers=headers)
            with self._connection.getresponse() as response:
                if response.status != 200:
                    raise ValueError(f"the answer is {response.status}, not 200")
                content = response.read(MAX_BYTES + 1)
        except HTTPException as error:
            raise ValueError(f"the answer is no HTTP ({type(error).__name__})") from None
        finally:
            self._connection.close()
        if len(content) > MAX_BYTES:
            raise ValueError(f"the answer is larger than {MAX_BYTES} bytes")
        return content

    def stop(self) -> None:
        self._stopped = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
