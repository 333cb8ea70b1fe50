"""Services import the kit and no other service, and the gateway imports limen alone; services are found, not named."""

from pathlib import Path

import pytest

from service_imports import packages, violations
from shop_processes import ROOT, SERVICES


def test_nothing_imports_what_it_must_not() -> None:
    assert list(violations(ROOT)) == []


def test_every_service_is_looked_at() -> None:
    assert {"limen", "limen_kit", "shop_gateway", *(f"shop_{name}" for name in SERVICES)} <= packages(ROOT).keys()


@pytest.mark.parametrize(
    ("path", "line", "refused"),
    [
        ("shop/reviews/src/shop_reviews", "from limen_kit.app import create_service", False),
        ("shop/reviews/src/shop_reviews", "from shop_users.models import User", True),
        ("shop/reviews/src/shop_reviews", "def late():\n    import limen.auth", True),
        ("shop/reviews/src/shop_reviews", "import shop_usersettings", False),
        ("shop/gateway/src/shop_gateway", "from limen import Gateway", False),
        ("shop/gateway/src/shop_gateway", "import limen_kit.app", True),
        ("kit/src/limen_kit", "from shop_users import app", True),
        ("src/limen", "import limen_kit", True),
    ],
)
def test_an_import_is_judged_by_where_it_stands(tmp_path: Path, path: str, line: str, refused: bool) -> None:
    for folder in ("src/limen", "kit/src/limen_kit", "shop/users/src/shop_users", path):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / path / "inner.py").write_text(f"{line}\n")
    found = list(violations(tmp_path))
    assert len(found) == refused
    assert all(each.startswith(f"{path}/inner.py:") for each in found)
