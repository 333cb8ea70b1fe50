"""``limen new service`` in a project that ``limen new project`` has made: what it writes, and what it refuses."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from limen.cli.main import main
from limen.cli.topology import read


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the service notes; the current folder is in it."""
    monkeypatch.chdir(tmp_path)
    assert limen("project", "shop2").exit_code == 0
    monkeypatch.chdir(tmp_path / "shop2" / "gateway")
    return tmp_path / "shop2"


def limen(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()
    }


def refused(shop: Path, *arguments: str) -> str:
    """Return what is said where nothing is written."""
    before = texts(shop)
    done = limen("service", *arguments)
    assert done.exit_code != 0
    assert texts(shop) == before
    return done.output


def test_a_service_is_made_and_named_where_the_project_has_to_know_of_it(shop: Path) -> None:
    before = texts(shop)
    done = limen("service", "reviews")
    assert done.exit_code == 0, done.output
    after = texts(shop)
    changed = {path for path in before if after[path] != before[path]}
    assert changed == {
        "limen.toml",
        "requirements.txt",
        "gateway/src/shop2_gateway/gateway.py",
        "gateway/src/shop2_gateway/settings.py",
    }
    made = after.keys() - before.keys()
    assert {path for path in made if not path.startswith("reviews/")} == {"gateway/src/shop2_gateway/routes/reviews.py"}
    assert "reviews/src/shop2_reviews/migrations/0001_initial.py" in made
    service = read(shop / "limen.toml").declared.services["reviews"]
    assert (service.app, service.port, service.dir) == ("shop2_reviews.app:app", 8012, Path("reviews/src"))
    assert service.env == {"IDENTITY_KEYS": "${gateway.url}/.well-known/jwks.json"}
    assert after["requirements.txt"].endswith("\n-e ./notes\n-e ./reviews\n")


def test_what_was_written_is_told_without_colours_and_what_comes_next(shop: Path) -> None:
    done = limen("service", "reviews")
    assert "\x1b" not in done.output
    assert "  reviews/\n    README.md\n" in done.output
    assert re.search(r"\n {2}limen\.toml +its process on port 8012, and its address for the gateway\n", done.output)
    assert re.search(
        r"\n {2}pip install -r requirements\.txt +installs it\n {2}limen up +starts everything\n", done.output
    )


def test_one_service_comes_after_the_other(shop: Path) -> None:
    assert limen("service", "reviews").exit_code == 0
    assert limen("service", "stories", "--port", "9000").exit_code == 0
    services = read(shop / "limen.toml").declared.services
    assert {name: service.port for name, service in services.items()} == {
        "notes": 8011,
        "reviews": 8012,
        "stories": 9000,
        "gateway": 8001,
    }
    assert list(services)[-1] == "gateway"
    assert "class Story(Model)" in (shop / "stories/src/shop2_stories/models.py").read_text()


def test_a_dry_run_says_the_same_and_writes_nothing(shop: Path) -> None:
    before = texts(shop)
    dry = limen("service", "reviews", "--dry-run")
    assert (dry.exit_code, texts(shop)) == (0, before)
    assert dry.output.startswith("Nothing is written; without --dry-run this would be:\nNew:\n")
    wet = limen("service", "reviews")
    assert wet.output.startswith(dry.output.partition("\n")[2])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("notes",), "limen.toml has a service notes already"),
        (("gateway",), "limen.toml has a service gateway already"),
        (("class",), "is a keyword of Python"),
        (("reviews", "--port", "8001"), "--port 8001 is also that of gateway"),
        (
            ("reviews", "--gateway", "door"),
            "has no service door, which should be the gateway; say which is: --gateway NAME",
        ),
        (("reviews", "--gateway", "notes"), "it has no line such as notes.declare(app"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(shop: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(shop, *arguments)


def test_without_a_project_nothing_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no limen.toml in" in refused(tmp_path, "reviews")


def test_a_folder_that_is_there_is_not_touched(shop: Path) -> None:
    (shop / "reviews").mkdir()
    (shop / "reviews" / "README.md").write_text("mine\n")
    assert "reviews/README.md is there already" in refused(shop, "reviews")


def test_a_gateway_that_is_a_module_cannot_get_routes(shop: Path) -> None:
    (shop / "gateway/src/shop2_gateway/__init__.py").unlink()
    assert "the gateway has to be a package" in refused(shop, "reviews")


def test_where_a_place_is_not_found_the_lines_to_add_are_told(shop: Path) -> None:
    module = shop / "gateway/src/shop2_gateway/gateway.py"
    module.write_text(module.read_text().replace("notes.declare(app, ", "declare_notes(app, "))
    settings = shop / "gateway/src/shop2_gateway/settings.py"
    settings.write_text(settings.read_text().replace("notes_service_url", "notes_address"))
    output = refused(shop, "reviews")
    assert "nothing was written." in output
    assert '    reviews.declare(app, Upstream("reviews", settings.reviews_service_url))  # where the others' in output
    assert (
        "settings.py cannot be changed: no class has a field whose name ends with _service_url. Add this by" in output
    )
    assert "hand, and leave the file out: --skip gateway/src/shop2_gateway/settings.py\n" in output


def test_what_routes_share_is_made_where_it_is_missing_and_refused_where_it_is_another(shop: Path) -> None:
    package = shop / "gateway/src/shop2_gateway"
    responses = (package / "responses.py").read_text()
    (package / "responses.py").unlink()
    models = (package / "models.py").read_text()
    (package / "models.py").write_text(models.replace("Page =", "Paging ="))
    assert "models.py has no Page, which the routes of every new service use" in refused(shop, "reviews")
    (package / "models.py").write_text(models)
    (package / "routes" / "notes.py").write_text("def declare(app, upstream): ...\n")  # which imports responses
    assert limen("service", "reviews").exit_code == 0
    assert (package / "responses.py").read_text() == responses


def test_a_gateway_that_would_not_pass_limen_check_is_refused(shop: Path) -> None:
    routes = shop / "gateway/src/shop2_gateway/routes/notes.py"
    routes.write_text(routes.read_text().replace("allow=anyone", "allow=None"))
    output = refused(shop, "reviews")
    assert "limen check, of the gateway as it would be failed with status 1" in output


def test_a_compose_file_without_a_service_to_follow_is_refused(shop: Path) -> None:
    (shop / "compose.yaml").write_text("services: {}\n")
    assert "compose.yaml cannot be changed: it does not name notes" in refused(shop, "reviews")
    (shop / "notes" / "pyproject.toml").unlink()
    output = refused(shop, "reviews")
    assert "compose.yaml cannot be changed: no service beside it has the same dependencies and settings" in output
    assert "      REVIEWS_SERVICE_URL: http://reviews:8000\n" in output
    assert limen("service", "reviews", "--skip", "compose.yaml").exit_code == 0


def test_what_was_added_by_hand_is_left_alone(shop: Path) -> None:
    module = shop / "gateway/src/shop2_gateway/gateway.py"
    line = 'other.declare(app, Upstream("reviews", settings.reviews_service_url))'
    by_hand = (
        module.read_text()
        .replace(
            "from shop2_gateway.routes", "from shop2_gateway.routes import reviews as other\nfrom shop2_gateway.routes"
        )
        .replace("    notes.declare(", f"    {line}\n    notes.declare(")
    )
    module.write_text(by_hand)
    topology = shop / "limen.toml"
    entry = '[services.reviews]\napp = "shop2_reviews.app:app"\nport = 8044\ndir = "reviews/src"\n\n[services.gateway]'
    address = 'REVIEWS_SERVICE_URL = "${reviews.urls}"\n'
    topology.write_text(topology.read_text().replace("[services.gateway]", entry) + address)
    skip = ("--skip", "limen.toml", "--skip", "gateway/src/shop2_gateway/gateway.py")
    done = limen("service", "reviews", *skip)
    assert done.exit_code == 0, done.output
    assert module.read_text() == by_hand
    assert "--port 8044" in (shop / "reviews/README.md").read_text()


def test_a_file_that_is_skipped_for_nothing_is_told(shop: Path) -> None:
    assert "--skip limen.tml: this file would not be changed" in refused(shop, "reviews", "--skip", "limen.tml")


def test_line_ends_of_another_kind_are_not_changed_in_passing(shop: Path) -> None:
    settings = shop / "gateway/src/shop2_gateway/settings.py"
    settings.write_bytes(settings.read_bytes().replace(b"\n", b"\r\n"))
    assert "settings.py has line ends other than a line feed" in refused(shop, "reviews")


def test_a_service_is_built_as_the_one_beside_it(shop: Path) -> None:
    (shop / "notes" / "Dockerfile").write_text("FROM x\nCOPY notes/src notes/src\nCMD shop2_notes.app:app\n")
    assert limen("service", "reviews").exit_code == 0
    text = (shop / "reviews" / "Dockerfile").read_text()
    assert text == "FROM x\nCOPY reviews/src reviews/src\nCMD shop2_reviews.app:app\n"


def test_a_project_is_not_made_twice(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = texts(tmp_path)
    again = limen("project", "shop2")
    assert "shop2 is there already" in again.output
    for arguments in (("json",), ("other", "--service", "gateway"), ("other", "--service", "Notes")):
        assert limen("project", *arguments).exit_code != 0
    assert limen("project", "other", "--dry-run").exit_code == 0
    assert texts(tmp_path) == before


def test_pages_that_know_the_services_know_the_new_one(shop: Path) -> None:
    (shop / "docs").mkdir()
    (shop / "docs" / "access.md").write_text("# Who may call what\n\nMade by `limen matrix`, some time ago.\n")
    (shop / "README.md").write_text("| method | path | service | who may call |\n|---|---|---|---|\n")
    (shop / "gateway" / "README.md").write_text("NOTES_SERVICE_URL=http://127.0.0.1:8011 limen serve\n")
    assert limen("service", "reviews").exit_code == 0
    assert "| GET | `/api/reviews` | reviews | `anyone` |" in (shop / "docs" / "access.md").read_text()
    assert "| PUT | `/api/reviews/{review_id}` | reviews | any user; " in (shop / "README.md").read_text()
    assert "8011 REVIEWS_SERVICE_URL=http://127.0.0.1:8012 limen" in (shop / "gateway" / "README.md").read_text()


def test_in_a_workspace_with_the_kit_the_service_takes_it_from_there(shop: Path) -> None:
    with (shop / "pyproject.toml").open("a") as file:
        file.write("\n[tool.uv.sources]\nlimen-kit = { workspace = true }\n")
    assert limen("service", "reviews").exit_code == 0
    made = shop / "reviews"
    assert (made / "pyproject.toml").read_text().endswith("[tool.uv.sources]\nlimen-kit = { workspace = true }\n")
    assert 'python -m pip install -e ../kit -e ".[test]"' in (made / "README.md").read_text()
    assert "--find-links ../wheels" in (shop / "notes" / "README.md").read_text()


def test_what_comes_next_is_what_the_project_has(shop: Path) -> None:
    (shop / "requirements.txt").unlink()
    assert "\n  pip install -e reviews    installs it\n" in limen("service", "reviews").output
    (shop / "Makefile").write_text("help:\n\nup:\n\tlimen up\n")
    assert "\n  make up    installs it, and starts everything\n" in limen("service", "stories").output
