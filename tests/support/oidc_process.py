"""An OpenID provider beside the gateway: its process, and the requests by which a test controls it."""

import contextlib
import json
import ssl
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import httpx2

from certificates import Authority
from oidc_provider import DISCOVERY, KEYS

PROGRAM = Path(__file__).with_name("oidc_provider.py")


class ProviderProcess:
    """A running provider; ``authority`` is the file that its certificate is to be verified with, if it serves https."""

    def __init__(self, arguments: list[str], context: ssl.SSLContext | None) -> None:
        self._arguments = arguments
        self._context = context
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The issuer as its tokens name it."""
        return f"{'https' if self._context else 'http'}://localhost:{self.port}"

    def start(self) -> None:
        """Start it, on the port of before if there was one; with keys of its own, as after any restart."""
        command = [sys.executable, str(PROGRAM), "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """Kill it, as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    async def token(self, username: str = "ann", *, claims: dict[str, Any] | None = None, **form: str) -> str:
        """Log in and return the access token; ``claims`` replace those that it would have."""
        if claims is not None:
            form["claims"] = json.dumps(claims)
        return (await self.tokens([username], **form))[0]

    async def tokens(self, usernames: Sequence[str], **form: str) -> list[str]:
        """Log several in, one after the other."""
        form |= {"grant_type": "password", "password": "right"}
        async with self._client() as client:
            answers = [await client.post("/token", data=form | {"username": name}) for name in usernames]
        return [answer.raise_for_status().json()["access_token"] for answer in answers]

    async def rotate(self) -> None:
        """Let it use new keys, and publish no others."""
        await self._post("/control/rotate", {})

    async def mood(self, mood: str, path: str = KEYS) -> None:
        """Let it misbehave (see ``oidc_provider.ODD``), or behave: ""."""
        await self._post("/control/mood", {"path": path, "mood": mood})

    async def free(self) -> None:
        """Let it answer what it has held back."""
        await self._post("/control/free", {})

    async def asked(self, path: str = KEYS) -> int:
        """Return how often a document was asked for."""
        async with self._client() as client:
            return (await client.get("/control/asked")).json().get(path, 0)

    async def _post(self, path: str, form: dict[str, str]) -> None:
        async with self._client() as client:
            (await client.post(path, data=form)).raise_for_status()

    def _client(self) -> httpx2.AsyncClient:
        verify = True if self._context is None else self._context
        return httpx2.AsyncClient(base_url=self.url, verify=verify, trust_env=False, timeout=20)


@contextlib.contextmanager
def provider_process(authority: Authority | None = None, name: str = "provider") -> Generator[ProviderProcess]:
    """Run a provider until the block ends, over https if there is an ``authority``."""
    arguments: list[str] = []
    context = None
    if authority is not None:
        certificate, key = authority.pair(name)
        arguments = ["--certificate", str(certificate), "--key", str(key)]
        context = ssl.create_default_context(cafile=str(authority.path))
    running = ProviderProcess(arguments, context)
    try:
        running.start()
        yield running
    finally:
        running.kill()


__all__ = ["DISCOVERY", "KEYS", "ProviderProcess", "provider_process"]
