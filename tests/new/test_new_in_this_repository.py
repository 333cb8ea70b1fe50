"""``limen new service reviews`` in a copy of this repository: every check and test takes the service at once.

Run here: all linters; types of the service and of the gateway; the tests of both, and of what deploys and describes them.
With ``LIMEN_NEW_WHOLE`` in the environment, ``make check`` besides, and the shop with the service as real processes, which
takes minutes (`make new-check`).
"""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from repository_copy import RepositoryCopy

CHANGED = {
    "README.md",
    "compose.yaml",
    "docs/access.md",
    "docs/identity.md",
    "docs/settings.md",
    "limen.toml",
    "shop/gateway/README.md",
    "shop/gateway/src/shop_gateway/app.py",
    "shop/gateway/src/shop_gateway/settings.py",
}
DEPLOY = [
    f"tests/deploy/test_{name}.py" for name in ("deploy_files", "tables", "documents", "service_imports", "shop_check")
]

COMMANDS = {
    "ruff": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "imports": ["tools/service_imports.py"],
    "tables": ["tools/tables.py", "--check"],
    "types": ["-m", "basedpyright", "shop/reviews", "shop/gateway"],
    "alone": ["-m", "pytest", "-q", "tests/deploy/test_standing_alone.py", "-k", "reviews or libraries"],
    "deploy": ["-m", "pytest", "-q", "-x", "shop/gateway", *DEPLOY],
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> RepositoryCopy:
    """The copy, with the service in it."""
    copy = RepositoryCopy(tmp_path_factory.mktemp("copy"))
    copy.install()
    made = copy.run(copy.python, "-m", "limen", "new", "service", "reviews")
    assert made.returncode == 0, made.stdout + made.stderr
    copy.install()
    return copy


def test_outside_its_folder_only_the_files_that_know_it_change(repository: RepositoryCopy) -> None:
    lines = [line.split(maxsplit=1) for line in repository.git("status", "--porcelain").splitlines()]
    assert {path for state, path in lines if state == "M"} == CHANGED
    assert {path for state, path in lines if state == "??"} == {
        "shop/gateway/src/shop_gateway/routes/reviews.py",
        "shop/reviews/",
    }
    assert "-" not in {line[0] for line in repository.git("diff", "--numstat", "limen.toml").split("\t")[1:2]}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_passes(repository: RepositoryCopy, name: str) -> None:
    done = repository.run(repository.python, *COMMANDS[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_tests_pass(repository: RepositoryCopy, postgres: str) -> None:
    # A server that is started from the copy would not be allowed to read it: it runs as another user.
    done = repository.run(repository.python, "-m", "pytest", "-q", "shop/reviews", LIMEN_TEST_POSTGRES_URL=postgres)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("project", ["shop/reviews", "shop/gateway"])
def test_what_a_project_imports_is_among_its_dependencies(repository: RepositoryCopy, project: str) -> None:
    done = repository.run("sh", "-c", f"cd {project} && deptry src")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_makefile_takes_it_to_all_of_its_targets(repository: RepositoryCopy) -> None:
    said = repository.run("make", "-n", "lint", "service-tests", "lock").stdout
    assert "for project in . kit" in said
    assert re.search(r"for project in [^;]*shop/reviews", said)
    assert re.search(r"--source=\S*\bshop_reviews\b", said)
    assert "shop/reviews/pyproject.toml" in said
    assert re.search(r"for one in [^;]*shop/reviews", said)


def test_its_routes_are_the_gateways(repository: RepositoryCopy) -> None:
    names = tomllib.loads((repository.folder / "limen.toml").read_text())["services"]
    addresses = [f"{name.upper()}_SERVICE_URL=http://{name}" for name in names if name != "gateway"]
    words = ["env", "SECRET_KEY=a-key-for-this-test-only-0123456789abcdef", *addresses, repository.python]
    done = repository.run(*words, "-m", "limen", "routes", "shop_gateway.app:app", "--json")
    rules = {(*route["methods"], route["path"]): route["allow"] for route in json.loads(done.stdout)}
    assert rules["GET", "/api/reviews"] == rules["GET", "/api/reviews/{review_id}"] == "anyone"
    assert rules["POST", "/api/reviews"] == rules["DELETE", "/api/reviews/{review_id}"] == "role(default, admin)"


def test_a_second_service_of_the_same_name_is_refused_and_another_one_fits(repository: RepositoryCopy) -> None:
    again = repository.run(repository.python, "-m", "limen", "new", "service", "reviews")
    assert again.returncode == 1
    assert "limen.toml has a service reviews already" in again.stderr
    other = repository.run(repository.python, "-m", "limen", "new", "service", "stories", "--dry-run")
    assert other.returncode == 0, other.stderr
    assert not (repository.folder / "shop" / "stories").exists()


if os.environ.get("LIMEN_NEW_WHOLE"):

    @pytest.mark.timeout(1800)
    def test_make_check_passes(repository: RepositoryCopy) -> None:
        done = repository.run("make", "check", seconds=1700)
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]

    @pytest.mark.timeout(600)
    def test_it_is_a_part_of_the_shop_that_runs(repository: RepositoryCopy) -> None:
        tests = [f"tests/e2e/test_{name}.py" for name in ("published_document", "access", "demonstration")]
        done = repository.run(repository.python, "-m", "pytest", "-q", "-x", *tests, seconds=580)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_templates_ask_for_what_the_shops_services_ask_for(repository: RepositoryCopy) -> None:
    def dependencies(folder: Path) -> list[str]:
        return tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]

    shop = repository.folder / "shop"
    assert dependencies(shop / "reviews") == dependencies(shop / "suppliers")
