"""``python oidc_provider.py``: an OpenID provider for tests, as a process of its own; prints the port that it listens on.

It serves discovery, a JWK Set with an RSA and an EC key, and a token endpoint; under ``/control`` it is told to change its
keys, to misbehave, and to say how often each document was asked for. Nothing of the gateway is imported here.
"""

import argparse
import json
import secrets
import signal
import ssl
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"

ODD: dict[str, tuple[int, str, bytes]] = {
    "garbage": (200, "application/json", b"{" * 5000),
    "page": (200, "text/html", b"<html>down for maintenance</html>"),
    "empty": (200, "application/json", b'{"keys": []}'),
    "huge": (200, "application/json", b'{"keys": [' + b" " * 300_000 + b"]}"),
    "error": (500, "application/json", b"{}"),
    "redirect": (302, "application/json", b"{}"),
}
"""How a document may be wrong; "held" answers once it is let go."""


class State:
    """Keys, counts and moods, shared by the threads that serve."""

    def __init__(self, scheme: str) -> None:
        self.lock = threading.Lock()
        self.scheme = scheme
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.moods: dict[str, str] = {}
        self.free = threading.Event()
        self.keys: list[RSAKey | ECKey] = []
        self.rotate()

    def rotate(self) -> None:
        """Make new keys; the old ones are gone."""
        self.keys = [RSAKey.generate_key(2048), ECKey.generate_key("P-256")]
        for key in self.keys:
            key.ensure_kid()

    def key_set(self) -> dict[str, Any]:
        """Return the public halves."""
        return {"keys": [key.as_dict(private=False, use="sig") for key in self.keys]}

    def token(self, form: dict[str, str]) -> str:
        """Return a token for ``username``; ``claims`` (JSON) replace what it would say, and null leaves one out."""
        now = int(time.time())
        said: dict[str, Any] = {
            "iss": self.url,
            "sub": form["username"],
            "aud": form.get("audience", "shop"),
            "iat": now,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
        }
        said |= json.loads(form.get("claims", "{}"))
        algorithm = form.get("algorithm", "RS256")
        key = self.keys[0 if algorithm == "RS256" else 1]
        header = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt"}
        return jwt.encode(
            header, {name: value for name, value in said.items() if value is not None}, key, algorithms=[algorithm]
        )


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: State

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""

    def do_GET(self) -> None:  # the base class calls it so
        state = self.state
        if self.path == "/control/asked":
            with state.lock:
                self._say(200, dict(state.asked))
            return
        with state.lock:
            state.asked[self.path] += 1
            mood = state.moods.get(self.path, "")
        if mood == "held":
            state.free.wait(30)
        if mood in ODD:
            self._write(*ODD[mood])
        elif self.path == DISCOVERY:
            self._say(200, {"issuer": state.url, "jwks_uri": state.url + KEYS, "token_endpoint": state.url + "/token"})
        elif self.path == KEYS:
            with state.lock:
                self._say(200, state.key_set())
        else:
            self._say(404, {})

    def do_POST(self) -> None:  # as above
        state = self.state
        content = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(content).items()}
        with state.lock:
            match self.path:
                case "/token" if form.get("grant_type") == "password" and form.get("password") == "right":
                    self._say(200, {"access_token": state.token(form), "token_type": "Bearer", "expires_in": 300})
                case "/token":
                    self._say(400, {"error": "invalid_grant"})
                case "/control/rotate":
                    state.rotate()
                    self._say(200, {})
                case "/control/mood":
                    state.moods[form["path"]] = form.get("mood", "")
                    self._say(200, {})
                case "/control/free":
                    state.free.set()
                    self._say(200, {})
                case _:
                    self._say(404, {})

    def _say(self, status: int, document: dict[str, Any]) -> None:
        self._write(status, "application/json", json.dumps(document).encode())

    def _write(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        if status == 302:
            self.send_header("location", KEYS + "?elsewhere")
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until killed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--certificate")
    options.add_argument("--key")
    given = options.parse_args()
    # Whoever runs the tests in the background of a script has this process ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    state = State("https" if given.certificate else "http")
    server = ThreadingHTTPServer(("127.0.0.1", given.port), type("Bound", (Handler,), {"state": state}))
    server.daemon_threads = True
    state.url = f"{state.scheme}://localhost:{server.server_address[1]}"
    if given.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.key)
        # The handshake belongs to the thread of its connection, or one slow client would stop all.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)  # noqa: T201  # this is how its port becomes known
    server.serve_forever()


if __name__ == "__main__":
    main()
