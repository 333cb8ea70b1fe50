"""A project that ``limen new project`` has made, with a service of ``limen new service``: it runs, and its tests pass."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands import running
from limen.auth import Jwt, issue
from limen.cli.new.words import NAME_LENGTH
from shop_processes import free_ports

FORM = {"title": "A title", "text": "Some text."}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project shop2 with the services notes and reviews."""
    folder = tmp_path_factory.mktemp("new")
    for place, words in ((folder, ("project", "shop2")), (folder / "shop2", ("service", "reviews"))):
        subprocess.run(
            [sys.executable, "-m", "limen", "new", *words], cwd=place, check=True, timeout=100, capture_output=True
        )
    return folder / "shop2"


def importable(project: Path) -> dict[str, str]:
    """Return an environment in which the project is as if ``requirements.txt`` were installed."""
    folders = [str(folder) for folder in sorted(project.glob("*/src"))]
    return os.environ | {"PYTHONPATH": os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])}


def run(project: Path, *words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=project,
        env=importable(project) | env,
        check=False,
        timeout=250,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_tests_pass_those_of_the_new_service_too(project: Path) -> None:
    # The contract of a new service is tested once, as that of notes: the other one differs in names alone.
    said = run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests", "notes", "reviews/tests/test_reviews.py")
    assert re.search(r"^(\d+) passed", said, re.MULTILINE), said
    assert "failed" not in said


def test_its_files_are_formatted_and_linted(project: Path) -> None:
    run(project, "ruff", "check", "--extend-select", "I", ".")
    run(project, "ruff", "format", "--check", ".")


@pytest.mark.parametrize("length", [2, NAME_LENGTH])
def test_names_of_any_length_leave_them_formatted_and_linted(tmp_path: Path, length: int) -> None:
    project, service, item = ("xyz"[number] * length for number in range(3))
    run(tmp_path, "limen", "new", "project", project, "--service", service, "--item", item)
    run(tmp_path / project, "ruff", "check", "--extend-select", "I", ".")
    run(tmp_path / project, "ruff", "format", "--check", ".")


def test_what_is_installed_is_what_it_says(project: Path) -> None:
    lines = (project / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("-e ")] == ["-e ./gateway", "-e ./notes", "-e ./reviews"]
    assert all((project / line.removeprefix("-e ") / "pyproject.toml").is_file() for line in lines if "./" in line)


async def test_limen_up_serves_both_services_through_the_gateway(project: Path) -> None:
    names = ("notes", "reviews", "gateway")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = [word for name, port in ports.items() for word in ("--port", f"{name}={port}")]
    async with running(project, "up", *options) as up:
        await up.says("Shop2 is open")
        token = issue(Jwt((project / ".limen" / "SECRET_KEY").read_text().strip()), 7, "default")
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{ports['gateway']}", timeout=30, trust_env=False
        ) as client:
            for service in ("notes", "reviews"):
                await _is_served(client, f"/api/{service}", {"authorization": f"Bearer {token}"})
            document: dict[str, Any] = (await client.get("/openapi.json")).json()
            assert {"/api/notes", "/api/reviews/{review_id}"} <= document["paths"].keys()
        # Past the gateway, nobody is believed.
        forged = {"request-user-id": "1", "request-user-role": "admin"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports['reviews']}", trust_env=False) as past:
            assert (await past.post("/api/reviews", json=FORM, headers=forged)).status_code == 401
        up.send(signal.SIGINT)
        assert await up.ends() == 0, up.text
    assert not re.search(r"Traceback|ERROR", up.text), up.text


async def _is_served(client: httpx2.AsyncClient, path: str, token: dict[str, str]) -> None:
    assert (await client.get(path)).json() == []
    assert (await client.post(path, json=FORM)).status_code == 401
    created = await client.post(path, json=FORM, headers=token)
    assert (created.status_code, created.json()["created_by"]) == (201, 7), created.text
    seen = {"if-match": created.headers["etag"]}
    changed = await client.put(created.headers["location"], json={"title": "Another"}, headers=token | seen)
    assert (changed.status_code, changed.json()["title"]) == (200, "Another")
    assert (await client.put(created.headers["location"], json={}, headers=token | seen)).status_code == 412
    assert (await client.get(path)).headers["x-total-count"] == "1"
    assert json.loads((await client.delete(created.headers["location"], headers=token)).content or "null") is None
