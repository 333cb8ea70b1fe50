"""Dockerfiles, compose.yaml and locks: their own linters, and the rules of this project that no linter knows.

No container engine is needed, so nothing here shows that an image builds: only that its parts are there and agree.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shop_gateway.settings import Settings
from shop_processes import ROOT, SERVICES

DEPLOYABLES = ("gateway", *SERVICES)
SECRETS = {
    "SECRET_KEY": "a-key-for-this-test-only-0123456789abcdef",
    "EVENTS_KEY": "another-key-for-this-test-only-0123456789",
}


def tool(name: str) -> str:
    """Return the path of a tool that comes as a wheel; without it, skip on a laptop and fail in CI."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        missing = f"{name} is not in this environment; `make test` installs it from requirements.lock"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return str(path)


def compose(*profiles: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``docker-compose config`` with ``env`` and nothing else of ours."""
    argv = [tool("docker-compose"), "--file", "compose.yaml"]
    for profile in profiles:
        argv += ["--profile", profile]
    argv += ["--env-file", os.devnull, "config", "--format", "json"]
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | env
    return subprocess.run(argv, cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=50)


@pytest.fixture(scope="module")
def topology() -> dict[str, Any]:
    """Everything that compose.yaml can start, as Compose understands it."""
    done = compose("postgres", **SECRETS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", SECRETS)
def test_compose_refuses_to_start_without_a_signing_key(name: str) -> None:
    done = compose(**{other: secret for other, secret in SECRETS.items() if other != name})
    assert done.returncode != 0
    assert name in done.stderr


def test_databases_are_started_only_when_asked_for() -> None:
    done = compose(**SECRETS)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["services"]) == sorted(DEPLOYABLES)


def test_only_the_gateway_publishes_a_port(topology: dict[str, Any]) -> None:
    published = {
        name: [(port["published"], port["target"]) for port in service["ports"]]
        for name, service in topology["services"].items()
        if service.get("ports")
    }
    assert published == {"gateway": [("8001", 8000)]}


def test_a_service_shares_a_network_with_the_gateway_and_its_own_database_alone(topology: dict[str, Any]) -> None:
    members: dict[str, set[str]] = {}
    for name, service in topology["services"].items():
        assert "network_mode" not in service
        for network in service["networks"]:
            members.setdefault(network, set()).add(name)
    private = {name: {"gateway", name, f"{name}-db"} for name in SERVICES}
    assert members == {"public": {"gateway"}} | private
    assert {name for name, network in topology["networks"].items() if network.get("internal")} == set(SERVICES)


def test_no_container_may_more_than_it_needs(topology: dict[str, Any]) -> None:
    for name, service in topology["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not service.get("cap_add"), name
        assert all(mount["type"] == "volume" for mount in service.get("volumes", ())), name


def test_every_store_has_a_volume_of_its_own(topology: dict[str, Any]) -> None:
    mounts = [
        (name, mount["source"], mount["target"])
        for name, service in topology["services"].items()
        for mount in service.get("volumes", ())
    ]
    data = "/var/lib/postgresql/data"
    wanted = [("gateway", "identity-keys", "/keys")]
    wanted += [(name, name, "/data") for name in SERVICES] + [(f"{name}-db", f"{name}-db", data) for name in SERVICES]
    assert sorted(mounts) == sorted(wanted)


def test_the_gateway_waits_until_every_service_is_ready(topology: dict[str, Any]) -> None:
    waits = topology["services"]["gateway"]["depends_on"]
    assert {name: wait["condition"] for name, wait in waits.items()} == dict.fromkeys(SERVICES, "service_healthy")


def test_the_gateways_environment_is_what_its_settings_read(
    topology: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment: dict[str, str | None] = topology["services"]["gateway"]["environment"]
    # TOKEN_KEYS is the other way to sign.
    assert {name.upper() for name in Settings.model_fields} == {*environment, "TOKEN_KEYS"}
    for name, value in environment.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment gives the fields
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == SECRETS["SECRET_KEY"]
    assert settings.events_key is not None
    assert settings.events_key.get_secret_value() == SECRETS["EVENTS_KEY"]
    addresses = {name: getattr(settings, f"{name}_service_url") for name in SERVICES}
    assert addresses == {name: (f"http://{name}:8000",) for name in SERVICES}


def test_a_database_is_chosen_by_its_address() -> None:
    address = "postgres://orders:secret@orders-db:5432/orders"
    done = compose("postgres", **SECRETS, ORDERS_DATABASE_URL=address, POSTGRES_PASSWORD="secret")
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services["orders"]["environment"]["DATABASE_URL"] == address
    assert services["users"]["environment"]["DATABASE_URL"] == "sqlite://users.sqlite3"


def test_demo_accounts_exist_only_when_asked_for(topology: dict[str, Any]) -> None:
    assert topology["services"]["users"]["environment"]["DEMO"] == "0"


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_compose_builds_each_dockerfile_from_the_root(topology: dict[str, Any], name: str) -> None:
    build = topology["services"][name]["build"]
    assert Path(build["context"]) == ROOT
    assert build["dockerfile"] == f"shop/{name}/Dockerfile"


def instructions(name: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile in order, continued lines joined, comments left out."""
    text = (ROOT / "shop" / name / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    pairs = (line.strip().partition(" ") for line in lines.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def given(name: str, word: str) -> list[str]:
    """Return what every ``word`` instruction of a Dockerfile says."""
    return [rest for found, rest in instructions(name) if found == word]


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_hadolint_finds_nothing(name: str) -> None:
    argv = [tool("hadolint"), "--no-color", f"shop/{name}/Dockerfile"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_base_images_are_slim_and_pinned(name: str) -> None:
    bases = [base.split()[0] for base in given(name, "FROM")]
    assert bases
    for base in bases:
        assert re.fullmatch(r"python:3\.\d+(\.\d+)?-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base), base


def test_images_from_elsewhere_are_pinned(topology: dict[str, Any]) -> None:
    images = {service["image"] for service in topology["services"].values() if "image" in service}
    for image in images:
        assert re.search(r":\d", image), image


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_the_container_does_not_run_as_root(name: str) -> None:
    last = [word for word, _ in instructions(name)]
    users = given(name, "USER")
    # A number, so that an orchestrator can see for itself that it is not root.
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0
    assert "RUN" not in last[last.index("USER") :]


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_the_container_logs_at_once_and_tells_its_health(name: str) -> None:
    assert any("PYTHONUNBUFFERED=1" in line for line in given(name, "ENV"))
    (health,) = given(name, "HEALTHCHECK")
    assert ("/healthz" if name == "gateway" else "/readyz") in health
    (command,) = given(name, "CMD")
    words: list[str] = json.loads(command)
    line = " ".join(words)
    assert f"shop_{name}.app:app" in line
    # exec: process 1 must be the server, or it never hears of a stop.
    if name == "gateway":
        assert line.startswith('sh -c limen keys new --directory "$IDENTITY_KEYS" --if-none && exec limen serve ')
    else:
        assert line.startswith(f"sh -c python -m limen_kit migrate shop_{name}.database && exec uvicorn ")


@pytest.mark.parametrize("name", SERVICES)
def test_services_believe_what_the_gateway_has_signed(topology: dict[str, Any], name: str) -> None:
    environment = topology["services"][name]["environment"]
    assert environment["IDENTITY_KEYS"] == "http://gateway:8000/.well-known/jwks.json"
    assert topology["services"]["gateway"]["environment"]["IDENTITY_KEYS"] == "/keys"


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_what_is_copied_exists_and_is_not_ignored(name: str) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [word for line in given(name, "COPY") if not line.startswith("--") for word in line.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert Path(source).parts[0] in allowed, source


def test_nothing_is_sent_to_a_build_that_is_not_named() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"


NAME = re.compile(r"^[a-z0-9-]+")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ \\;]+)", re.MULTILINE)
LOCKS = ("build.lock", *(f"shop/{name}/requirements.lock" for name in DEPLOYABLES))


@pytest.mark.parametrize("lock", LOCKS)
def test_images_install_the_versions_that_were_tested(lock: str) -> None:
    tested = dict(PIN.findall((ROOT / "requirements.lock").read_text()))
    pins: dict[str, str] = dict(PIN.findall((ROOT / lock).read_text()))
    assert pins
    assert pins == {name: tested.get(name) for name in pins}, "`make lock` renews them together"


@pytest.mark.parametrize("lock", ["requirements.lock", *LOCKS])
def test_locks_have_hashes_and_name_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if PIN.match(block):
            assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("name", DEPLOYABLES)
def test_locks_cover_what_the_project_asks_for(name: str) -> None:
    project = tomllib.loads((ROOT / "shop" / name / "pyproject.toml").read_text())["project"]
    wanted = {NAME.findall(requirement)[0] for requirement in project["dependencies"]}
    tests = {NAME.findall(requirement)[0] for requirement in project.get("optional-dependencies", {}).get("test", ())}
    assert wanted
    for names, lock in ((wanted, f"shop/{name}/requirements.lock"), (tests, "requirements.lock")):
        pinned = {pin for pin, _ in PIN.findall((ROOT / lock).read_text())}
        assert names - pinned <= {"limen", "limen-accounts", "limen-kit"}
