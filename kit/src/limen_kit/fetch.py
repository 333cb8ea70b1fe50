"""A small document over HTTP, with the standard library and in a thread: bounded in bytes and in time, whatever answers."""

import asyncio
import socket
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

MOST_BYTES = 262_144


async def fetch(url: str, seconds: float) -> bytes:
    """Return what a GET of ``url`` answers, which must be 200 and at most 256 KiB. No redirect is followed, no proxy used.

    Raises OSError (TimeoutError after ``seconds``, all in all) or ValueError.
    """
    one = _Get(url, seconds)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(one.run)
    except TimeoutError:
        raise TimeoutError(f"no whole answer within {seconds:g} seconds") from None
    finally:
        one.stop()


class _Get:
    """One request. ``stop`` ends it from another thread: a socket's own timeout is per read, and bytes may drip."""

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=seconds, context=context)
        else:
            self._connection = HTTPConnection(host, parts.port, timeout=seconds)
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
            with self._connection.getresponse() as answer:
                if answer.status != 200:
                    raise ValueError(f"the answer is {answer.status}, not 200")
                content = answer.read(MOST_BYTES + 1)
        except HTTPException as error:
            raise ValueError(f"the answer is no HTTP ({type(error).__name__})") from None
        finally:
            self._connection.close()
        if len(content) > MOST_BYTES:
            raise ValueError(f"the answer is larger than {MOST_BYTES} bytes")
        return content

    def stop(self) -> None:
        self._stopped = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
