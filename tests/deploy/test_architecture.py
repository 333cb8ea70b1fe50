"""That docs/architecture.md shows the rooms as they are: the picture is that of the imports, and the files it names exist."""

import ast
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from architecture_picture import Layers, Layout, drawn, imported, read_rooms, reduced

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "limen"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
# What stands below this heading names files that nobody has written yet.
TODAY, PLANNED, _ = PAGE.partition("## Where does a feature go?")

LAYERS = """[importlinter:contract:layers]
layers =
    __main__
    door | test
    middle
    base
exhaustive = True

[importlinter:contract:io]
source_modules =
    limen.base
    limen.middle.part

[importlinter:contract:web]
source_modules =
    limen.middle
    limen.base
"""


def test_the_picture_is_that_of_the_imports() -> None:
    """If this fails and the change was meant: `make access`, look at the picture, and commit it."""
    argv = [sys.executable, "tools/architecture_picture.py", "--check"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_picture_is_well_formed_and_described() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
    texts = [element.text or "" for element in picture.iter() if element.tag.endswith(("}title", "}desc"))]
    assert len(texts) == 2
    assert all(room in texts[1] for room in read_rooms(PACKAGE)[0])


def test_every_room_has_a_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)(?:/|\.py)` \|", TODAY, re.MULTILINE))
    missing = read_rooms(PACKAGE)[0].keys() - rows
    assert not missing, f"docs/architecture.md: give {missing} a row in the table of rooms"


def test_every_file_that_the_page_names_exists() -> None:
    assert PLANNED
    names = set(re.findall(r"`((?:\w+/)*\w+\.py)`", TODAY))
    assert len(names) > 20
    missing = [name for name in sorted(names) if not (PACKAGE / name).exists() and not (ROOT / name).exists()]
    assert not missing, f"docs/architecture.md names files that are not there (from src/limen, or the root): {missing}"


# --- the drawing ---


def package(folder: Path) -> Path:
    """Write a package of four rooms below ``folder``, and its layers."""
    (folder / ".importlinter").write_text(LAYERS)
    sources = {
        "__init__.py": "from limen.door import x\n",
        "door.py": "from limen.middle.part import y\nimport limen.base\n",
        "test.py": "def late():\n    from limen import base\n",
        "middle/__init__.py": "",
        "middle/part.py": "import limen.base.z\nimport os\nfrom limen.middle import other\n",
        "middle/other.py": "",
        "base.py": "from limenade import middle\n",
    }
    for name, source in sources.items():
        path = folder / "limen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder / "limen"


def test_imports_are_counted_by_room(tmp_path: Path) -> None:
    sizes, imports = read_rooms(package(tmp_path))
    assert sizes == {"base": 1, "door": 1, "middle": 2, "test": 1}
    assert imports == {
        "base": frozenset(),
        "door": frozenset({"base", "middle"}),
        "middle": frozenset({"base"}),
        "test": frozenset({"base"}),
    }


def test_what_follows_from_another_import_is_not_drawn(tmp_path: Path) -> None:
    _, imports = read_rooms(package(tmp_path))
    assert reduced(imports) == imports | {"door": frozenset({"middle"})}


def test_an_import_for_types_counts() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    from limen.http.headers import Head\n    import limen\n")
    assert list(imported(tree, "limen")) == ["http"]


def test_another_import_makes_another_picture(tmp_path: Path) -> None:
    root = package(tmp_path)
    layers = Layers.read(tmp_path / ".importlinter")
    assert layers.rows == (("door", "test"), ("middle",), ("base",))
    assert layers.pure == {"base", "middle.part"}
    sizes, imports = read_rooms(root)
    picture = drawn(layers, sizes, imports)
    assert picture == drawn(layers, sizes, imports)
    assert picture.count('class="line"') == 3
    assert ">2 modules<" in picture
    assert drawn(layers, sizes, imports | {"middle": frozenset()}) != picture


def test_no_two_boxes_touch_and_no_arrow_crosses_one() -> None:
    layers = Layers.read(ROOT / ".importlinter")
    layout = Layout(layers.rows, reduced(read_rooms(PACKAGE)[1]))
    for row in layout.rows:
        for one, other in pairwise(row):
            assert other.x - one.x >= one.distance(other) - 0.001, (one, other)


@pytest.mark.parametrize(
    ("imports", "message"),
    [
        (
            {"base": frozenset({"middle"}), "middle": frozenset[str]()},
            "base imports middle, which does not stand below",
        ),
        ({"attic": frozenset[str]()}, "no layer for attic"),
    ],
    ids=["an import that goes up", "a room without a layer"],
)
def test_what_cannot_be_drawn_is_told(imports: dict[str, frozenset[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layout([["middle"], ["base"]], imports)
