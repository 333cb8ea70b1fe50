"""``docs/limits.md`` says what the code does: every limit is on the page, with the default it has, and no other is."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from limen import Limits, Timeouts
from limen.auth import Jwt
from limen.cli import main, server, workers
from limen.declare.limits import ClientLimits
from limen.declare.route import MiB, Route
from limen.errors import Kind
from limen.gates import jwt
from limen.http import via
from limen.pipeline import ATTEMPTS, MOST_HELD
from limen.upstream import client

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "limits.md").read_text()
TOKENS = Jwt("k" * 32)
CLIENT = ClientLimits()
NONE = "none"


def constant(part: str, name: str) -> int:
    """Return a number that a module of ``part`` keeps to itself, as it is written in its source."""
    sources = [path.read_text() for path in (ROOT / "src" / "limen" / part).glob("*.py")]
    (text,) = (
        found for source in sources for found in re.findall(rf"^{name}(?:: Final)? = ([\d_]+)\b", source, re.MULTILINE)
    )
    return int(text)


def default(kind: type, name: str) -> object:
    """Return the default of a dataclass's field."""
    (field,) = (field for field in fields(kind) if field.name == name)
    assert field.default is not MISSING
    return field.default


def option(name: str) -> object:
    """Return the default of an option of ``limen serve``."""
    (found,) = (each for each in main.commands["serve"].params if each.name == name)
    return found.default


def seconds(value: object) -> str:
    return NONE if value is None else f"{value:g} s"


def size(value: object) -> str:
    assert isinstance(value, int)
    return f"{value // MiB} MiB" if value % MiB == 0 else f"{value // 1024} KiB"


def number(value: object) -> str:
    return NONE if value is None else f"{value:,}"


LIMITS = {
    "time to get a connection, a free place and TLS included": seconds(Timeouts().connect),
    "time until the head of the answer": seconds(Timeouts().first_byte),
    "silence of the service within a body, either way": seconds(Timeouts().idle),
    "one call in all": seconds(Timeouts().total),
    "connections to one target": number(Limits().connections),
    "requests in line for one": number(Limits().waiting),
    "an idle connection is kept": seconds(Limits().keepalive),
    "head of an answer": size(Limits().head),
    "header lines of an answer": number(Limits().head // 64),
    "interim answers (1xx) to one request": number(constant("upstream", "_MOST_INTERIM")),
    "chunk extensions and trailers of one answer": size(Limits().head),
    "attempts at one request": number(ATTEMPTS),
    "bytes held for a slow client": size(client.HIGH_WATER),
    "a request body that is declared": size(10 * MiB),
    "a request body that streams": NONE if default(Route, "max_body") is None else "bounded",
    "an answer that is read to be checked": size(default(Route, "max_answer")),
    "a token": size(jwt.MOST_BYTES),
    "verified tokens that are remembered": number(TOKENS.cache),
    "what clocks may differ by": seconds(TOKENS.leeway),
    "life of a token that the gateway issues, in all": f"{TOKENS.lifetime.total_seconds() / 60:g} min",
    "request line": size(CLIENT.request_line),
    "head of a request": size(CLIENT.head),
    "header lines of a request": number(CLIENT.fields),
    "chunk extensions and trailers of one body": size(CLIENT.chunk_overhead),
    "connections": number(CLIENT.connections),
    "connections from one address": number(CLIENT.connections_per_address),
    "requests at once": number(CLIENT.requests),
    "time for a head, in all": seconds(CLIENT.head_time),
    "silence within a request body": seconds(CLIENT.body_silence),
    "bytes a second of a body, on average": number(CLIENT.body_rate),
    "time before that average counts": seconds(CLIENT.body_grace),
    "time in which a client that is behind must take that average of its answer": seconds(CLIENT.reader_silence),
    "time for a client to read a refusal": seconds(CLIENT.linger),
    "TLS handshake, in all": seconds(server.HANDSHAKE),
    "silence between requests": seconds(constant("cli", "_KEEP_ALIVE")),
    "requests in line on one connection": number(constant("direct", "MOST_WAITING")),
    "bytes held for a slow service": size(MOST_HELD),
    "earlier passes through gateways, in Via": number(via.MOST_PASSES),
    "connections that wait to be accepted": number(constant("cli", "_BACKLOG")),
    "running requests at a stop, in all": seconds(option("grace")),
    "the application's own shutdown, in all": seconds(server.LIFESPAN),
    "a new worker's start, in all": seconds(workers.START),
}


def rows() -> dict[str, list[str]]:
    """Return the cells after the first of every row of every table, by the first."""
    found: dict[str, list[str]] = {}
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "limit":
            name = cells[0].replace("`", "")
            assert name not in found, name
            found[name] = cells[1:]
    return found


def test_the_limits_are_those_of_the_code() -> None:
    assert {name: cells[0] for name, cells in rows().items()} == LIMITS


@pytest.mark.parametrize("kind", [Timeouts, Limits, ClientLimits], ids=lambda kind: kind.__name__)
def test_no_setting_is_left_out(kind: type) -> None:
    named = {cells[1] for cells in rows().values()}
    assert {f"`{kind.__name__}({field.name}=)`" for field in fields(kind)} <= named


def test_codes_and_their_statuses_are_those_of_the_table_of_faults() -> None:
    known = {kind.code: str(kind.status) for kind in Kind}
    for status, code in re.findall(r"(\d{3}) `(\w+)`", TEXT):
        assert known.get(code) == status, code
