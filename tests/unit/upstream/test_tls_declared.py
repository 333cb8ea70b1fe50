"""TLS of an upstream as declared: what is accepted, what is refused, and that no file is opened for it."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from limen import Upstream
from limen.cli.main import serve
from limen.upstream.tls_declared import Tls


def test_what_is_said_is_kept() -> None:
    tls = Tls(ca="/there/is/none", certificate=Path("/nor/one"), key="/here", server_name="users.internal")
    upstream = Upstream("users", ["https://10.0.0.1"], tls=tls)
    assert upstream.tls == tls
    assert Upstream("users", ["https://10.0.0.1"]).tls is None
    assert upstream != Upstream("users", ["https://10.0.0.1"])
    assert not Tls().dangerously_accept_any_certificate


@pytest.mark.parametrize("name", ["users", "users.internal", "127.0.0.1", "::1", "xn--bcher-kva.example"])
def test_server_names(name: str) -> None:
    assert Tls(server_name=name).server_name == name


@pytest.mark.parametrize("name", ["", "users:443", "https://users", "a b", ".", "a..b", "a\n"])
def test_bad_server_names(name: str) -> None:
    with pytest.raises(ValueError, match="write a host name or an IP address, without a port"):
        Tls(server_name=name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key": "k"}, "needs certificate="),
        ({"ca": ""}, r"Tls\(ca=''\): name a PEM file"),
        ({"certificate": ""}, r"Tls\(certificate=''\)"),
        ({"ca": "c", "dangerously_accept_any_certificate": True}, "leave one of the two out"),
    ],
)
def test_contradictions(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tls(**wrong)


@pytest.mark.parametrize("target", ["http://users:1", "unix:/users.sock"])
def test_tls_needs_a_target_that_speaks_it(target: str) -> None:
    with pytest.raises(ValueError, match="upstream 'users': tls= is for https:// targets, and there is none"):
        Upstream("users", [target], tls=Tls())
    Upstream("users", [target, "https://users"], tls=Tls())


def test_what_the_document_says_is_so() -> None:
    text = (Path(__file__).parents[3] / "docs" / "tls.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    space: dict[str, object] = {}
    exec(compile(example, "docs/tls.md", "exec"), space)
    assert isinstance(space["users"], Upstream)
    table = text.split("\n## To services\n")[1]
    named = {
        name for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert named == {field.name for field in fields(Tls)}
    offered = {option for parameter in serve.params for option in parameter.opts if option.startswith("--tls-")}
    assert set(re.findall(r"^\| `(--tls-[a-z-]+)` \|", text, re.MULTILINE)) == offered
