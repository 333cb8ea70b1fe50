"""Which page is filled by what, and the command: each page is written anew, or compared with how it would be written."""

import argparse
import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from secrets import token_urlsafe

from doc_tables import routes, settings
from doc_tables.checks import findings
from doc_tables.fastapi_face.page import face
from doc_tables.faults import faults
from doc_tables.limits import limits, some
from doc_tables.options import options
from doc_tables.table import Filled
from shop_gateway.settings import Settings as GatewaySettings

ROOT = Path(__file__).parents[2]

# The shop's gateway needs these for all of its routes; what they are shows in no table.
ENVIRONMENT = {
    "SECRET_KEY": token_urlsafe(48),
    "EVENTS_KEY": token_urlsafe(48),
    **{f"{name.upper()}_SERVICE_URL": f"http://{name}:8000" for name in settings.SERVICES},
}

Fill = Callable[[str], Filled]

PAGES: dict[str, tuple[Fill, ...]] = {
    "README.md": (routes.readme, settings.readme),
    "docs/access.md": (routes.access,),
    "docs/architecture.md": (faults,),
    "docs/check.md": (findings,),
    "docs/fastapi.md": (face,),
    "docs/health.md": (some,),
    "docs/limits.md": (limits,),
    "docs/retries.md": (some,),
    "docs/settings.md": (
        settings.page,
        lambda text: options(text, "serve", "## `limen serve`"),
        lambda text: options(text, "up", "## `limen up` and limen.toml"),
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or compare them; return 1 where there is something to mend, which is printed."""
    parser = argparse.ArgumentParser(
        prog="tables.py", description="The tables of README and docs/ that come from the code."
    )
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check: bool = parser.parse_args(arguments).check
    # The settings of whoever runs this are not those of the page: what decides here is the code alone.
    for name in GatewaySettings.model_fields:
        os.environ.pop(name.upper(), None)
    os.environ.update(ENVIRONMENT)
    found = [line for page, fills in PAGES.items() for line in brought_up(ROOT / page, page, fills, check=check)]
    for line in found:
        print(line)  # noqa: T201 - a command
    return 1 if found else 0


def brought_up(path: Path, name: str, fills: Sequence[Fill], *, check: bool) -> Iterator[str]:
    """Write the page at ``path``, or with ``check`` yield how it differs; yield what has to be mended by hand."""
    kept = path.read_text(encoding="utf-8")
    text = kept
    for fill in fills:
        try:
            done = fill(text)
        except ValueError as error:
            yield f"{name}: {error}"
            continue
        text = done.text
        yield from (f"{name}: {problem}" for problem in done.problems)
    if text == kept:
        return
    if check:
        yield from difflib.unified_diff(
            kept.splitlines(), text.splitlines(), name, f"{name} as the code is (`make access` writes it)", lineterm=""
        )
    else:
        path.write_text(text, encoding="utf-8", newline="\n")
