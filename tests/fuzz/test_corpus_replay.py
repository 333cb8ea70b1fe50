"""The fuzzers' corpus, played again: what held for each case when it was found must hold today. ``run.py`` finds more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import invariants
from engines import ENGINES
from in_memory_gateway import InMemoryGateway

HERE = Path(__file__).parent


def cases(folder: str) -> list[Path]:
    """Return the cases of ``folder``."""
    return sorted((HERE / folder).glob("*"))


def name(value: object) -> str | None:
    return value.name if isinstance(value, Path) else None


@pytest.fixture(params=ENGINES, scope="module")
def gateway(request: pytest.FixtureRequest) -> Iterator[InMemoryGateway]:
    """A whole gateway without sockets; each case finds it as the last one found it."""
    gateway = InMemoryGateway(request.param)
    yield gateway
    gateway.close()


@pytest.mark.parametrize("case", cases("corpus/request"), ids=name)
def test_what_a_client_sends_breaks_nothing(case: Path, gateway: InMemoryGateway) -> None:
    invariants.of_requests(gateway, case.read_bytes())


@pytest.mark.parametrize("case", cases("corpus/response"), ids=name)
def test_what_a_service_says_breaks_nothing(case: Path, gateway: InMemoryGateway) -> None:
    invariants.of_answers(gateway, case.read_bytes())
