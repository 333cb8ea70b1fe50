"""The fuzzers' corpus, played again: what held for each case when it was found must hold today. ``run.py`` finds more.

``failing`` has cases of bugs that are known. Once one is mended its test says so: then the case moves into the corpus.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

import invariants
from engines import ENGINES
from sealed import Sealed

HERE = Path(__file__).parent


def cases(folder: str) -> list[Path]:
    """Return the cases of ``folder``, which is not there while it has none."""
    return sorted((HERE / folder).glob("*"))


def name(value: object) -> str | None:
    return value.name if isinstance(value, Path) else None


@pytest.fixture(params=ENGINES, scope="module")
def gateway(request: pytest.FixtureRequest) -> Iterator[Sealed]:
    """A whole gateway without sockets; each case finds it as the last one found it."""
    sealed = Sealed(request.param)
    yield sealed
    sealed.close()


@pytest.mark.parametrize("case", cases("corpus/request"), ids=name)
def test_what_a_client_sends_breaks_nothing(case: Path, gateway: Sealed) -> None:
    invariants.of_requests(gateway, case.read_bytes())


@pytest.mark.parametrize("case", cases("corpus/response"), ids=name)
def test_what_a_service_says_breaks_nothing(case: Path, gateway: Sealed) -> None:
    invariants.of_answers(gateway, case.read_bytes())


@pytest.mark.parametrize("case", [*cases("failing/request"), *cases("failing/response")], ids=name)
@pytest.mark.xfail(reason="a known bug; when this passes, move the case into tests/fuzz/corpus", raises=AssertionError)
def test_what_is_known_to_break(case: Path) -> None:
    sealed = Sealed("direct")
    play = invariants.of_requests if case.parent.name == "request" else invariants.of_answers
    try:
        play(sealed, case.read_bytes())
    finally:
        sealed.close()
