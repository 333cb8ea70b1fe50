"""The same bytes through Limen, h11 and nginx: where they disagree, ``disagreements.md`` says why, or the test fails."""

import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import disagreements
import verdicts
from engines import ENGINES
from in_memory_gateway import InMemoryGateway

HERE = Path(__file__).parent
CORPUS = sorted((HERE.parent / "fuzz" / "corpus" / "request").iterdir())
SEEDS = range(8)
_STREAMS = 60  # of each seed

LINES = (
    b"Host: g",
    b"Host: other",
    b"Content-Length: 5",
    b"Content-Length: 05",
    b"Content-Length: 5, 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: keep-alive, x-one",
    b"X-One: 1",
    b"X-One: two words",
    b"X_One: 1",
    b"X-Empty:",
    b"X-High: \xc3\xa9",
    b"Cookie: a=1; b=2",
    b"Expect: 100-continue",
)
TARGETS = (
    b"/",
    b"/x",
    b"/x/y?a=1&a=2",
    b"/x?",
    b"/%41",
    b"/a%2Fb",
    b"/x/../y",
    b"//x",
    b"http://g/x",
    b"/x#y",
    b"*",
    b"/;p",
)
BODIES = (b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nT: z\r\n\r\n")
BYTES = b"\r\n \t:;,/\\#%\0\x0b\x7f\x80\xff0aZ\"'-_"


def streams(seed: int) -> Iterator[bytes]:
    """Return streams of one to three requests, most of them with something wrong; the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(_STREAMS):
        data = b""
        for _ in range(chance.randint(1, 3)):
            method = chance.choices((b"GET", b"POST", b"HEAD", b"PUT", b"FOO", b"TRACE"), (9, 9, 3, 2, 1, 1))[0]
            version = chance.choices((b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2"), (20, 2, 1, 1))[0]
            target = chance.choice(TARGETS) if chance.random() < 0.4 else b"/x"
            lines = [b"Host: g"] if chance.random() < 0.9 else []
            lines += chance.sample(LINES[2:], chance.randint(0, 3)) if chance.random() < 0.8 else [chance.choice(LINES)]
            body = chance.choice(BODIES)
            if chance.random() < 0.6:  # in most, the body is what the head says
                lines = [one for one in lines if one[:8] not in (b"Content-", b"Transfer")]
                if body[1:2] in (b"\r", b";"):
                    lines.append(b"Transfer-Encoding: chunked")
                elif body:
                    lines.append(b"Content-Length: 5")
            chance.shuffle(lines)
            data += b"\r\n".join([method + b" " + target + b" " + version, *lines, b"", b""]) + body
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            place = chance.randrange(len(data))
            new = bytes([chance.choice(BYTES)]) if chance.random() < 0.7 else b""
            data = data[:place] + new + data[place + chance.randint(0, 1) :]
        yield data


@pytest.fixture(params=ENGINES, scope="module")
def gateway(request: pytest.FixtureRequest) -> Iterator[InMemoryGateway]:
    """A gateway that refuses nothing but for its form."""
    gateway = InMemoryGateway(request.param, verdicts.everything(), scripted=False)
    yield gateway
    gateway.close()


def check(gateway: InMemoryGateway, data: bytes) -> None:
    wrong, _ = disagreements.explain(data, verdicts.limen(gateway, data), verdicts.by_h11(data), both_ways=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("case", CORPUS, ids=[case.name for case in CORPUS])
def test_h11_reads_the_corpus_as_we_do_or_we_say_why(case: Path, gateway: InMemoryGateway) -> None:
    check(gateway, gateway.filled(case.read_bytes()))


@pytest.mark.parametrize("seed", SEEDS)
def test_h11_reads_what_chance_makes_as_we_do_or_we_say_why(seed: int, gateway: InMemoryGateway) -> None:
    for data in streams(seed):
        check(gateway, data)


def test_nginx_takes_what_we_take_or_we_say_why() -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip(
            "nginx is not installed" + ("; CI compares with it where its image has it" * bool(os.environ.get("CI")))
        )
    gateway = InMemoryGateway("direct", verdicts.everything(), scripted=False)
    try:
        # Not in pytest's folder, which nginx's workers, another user, cannot enter.
        with tempfile.TemporaryDirectory() as folder, verdicts.nginx(program, Path(folder)) as nginx:
            for data in [gateway.filled(case.read_bytes()) for case in CORPUS] + list(streams(0)):
                ours = verdicts.limen(gateway, data)
                wrong, _ = disagreements.explain(data, ours, nginx.verdict(data), both_ways=False)
                assert not wrong, "\n".join(wrong)
    finally:
        gateway.close()


def test_every_class_has_its_paragraph() -> None:
    told = re.findall(r"^\| `([^`]+)` \|", (HERE / "disagreements.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(one.name for one in disagreements.CLASSES)
